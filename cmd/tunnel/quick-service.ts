// Who is asked for a quick tunnel: the service that is named, else the edge of this machine. Cloudflare's only when the user
// says so, because it publishes what was meant for this machine.

import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { readPrivateFile } from '../../internal/credentials/private-file.ts';
import { PosternError } from '../../internal/errors/error.ts';
import type { CommandContext } from '../context.ts';
import { findLocalEdge } from './local-edge.ts';

export const cloudflareQuickService = 'https://api.trycloudflare.com';

export interface QuickService {
  readonly url: string;
  /** CA of an edge's own. */
  readonly caPem?: string | undefined;
}

/** `origin`: what is to be published. Throws 'usage.invalid' when no service is named, no edge runs and nobody says yes. */
export async function chooseQuickService(
  named: string | undefined,
  origin: string,
  context: CommandContext,
): Promise<QuickService> {
  if (named !== undefined && named !== '') return { url: named.replace(/\/+$/, '') };
  const { namedStateDir, running } = findLocalEdge(context);
  if (running !== undefined) {
    const { quickServiceUrl: url, stateDir } = running;
    return { url, caPem: url.startsWith('https:') ? readPrivateFile(join(stateDir, 'ca.pem')) : undefined };
  }
  const where = namedStateDir === undefined ? 'under this user' : `in ${namedStateDir} (POSTERN_STATE_DIR)`;
  if (namedStateDir === undefined && (await wantsCloudflare(origin, context))) return { url: cloudflareQuickService };
  throw new PosternError(
    'usage.invalid',
    `No edge runs ${where}. Start one with "postern edge run", or publish ${origin} to the internet through Cloudflare ` +
      `with --quick-service ${cloudflareQuickService}`,
  );
}

/** Asks on a terminal; anywhere else the answer is no. */
async function wantsCloudflare(origin: string, context: CommandContext): Promise<boolean> {
  if (!context.stdinIsTerminal || !context.stderrIsTerminal) return false;
  const terminal = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const answer = await terminal.question(
      `No edge runs under this user. Publish ${origin} to the internet through Cloudflare, ${cloudflareQuickService}? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
