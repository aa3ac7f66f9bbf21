// The control sockets of the connectors that run under this user: ~/.postern/run/PID-TUNNEL.sock.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateDirectory } from '../../internal/credentials/private-file.ts';
import { describeError, foreignCode, isPosternError } from '../../internal/errors/error.ts';
import { askControlSocket, openControlSocket } from '../../internal/management/control-socket.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';
import type { Change } from './reload-plan.ts';

/** What a connector is asked. */
export type ControlQuestion = { readonly ask: 'status' } | { readonly ask: 'reload'; readonly dryRun: boolean };

export interface ConnectorStatus {
  readonly pid: number;
  readonly tunnelId: string;
  /** Absolute path of its config file. */
  readonly file: string | null;
  /** Of the configuration that the edge pushed; -1 = the local one is in force. */
  readonly version: number;
  /** In force, in the form of /config. */
  readonly config: unknown;
}

export interface ReloadOutcome {
  readonly pid: number;
  readonly tunnelId: string;
  readonly file: string | null;
  /** What a reload changes, or changed. */
  readonly changes: readonly Change[];
  /** Why nothing was or would be taken over. */
  readonly error?: string;
}

/** The socket is a convenience: where it cannot be made, the connector runs without. */
export async function openControl(
  { context, logger, tunnelId }: { context: CommandContext; logger: Logger; tunnelId: string },
  answer: (question: ControlQuestion) => Promise<ConnectorStatus | ReloadOutcome>,
): Promise<AsyncDisposable | undefined> {
  const directory = directoryOf(context);
  try {
    makePrivateDirectory(join(context.homeDir, '.postern'));
    makePrivateDirectory(directory);
    const path = join(directory, `${context.pid}-${tunnelId.slice(0, 8)}.sock`);
    return await openControlSocket(path, question => answer(question as ControlQuestion));
  } catch (error) {
    if (!isPosternError(error) && foreignCode(error) === undefined) throw error;
    logger.debug(`This connector takes no commands: ${describeError(error)}`);
    return undefined;
  }
}

/** Reading a file and opening its origins takes no longer. */
const timeoutMs = 30_000;

/** Asks every connector of this user; those that have gone are left out, and their sockets removed. */
export async function askConnectors<Answer extends ConnectorStatus | ReloadOutcome>(
  context: CommandContext,
  question: ControlQuestion,
  wanted: (path: string) => boolean = () => true,
): Promise<readonly Answer[]> {
  const answers = await Promise.all(
    socketsOf(context)
      .filter(wanted)
      .map(async path => {
        try {
          return (await askControlSocket(path, question, timeoutMs)) as Answer;
        } catch (error) {
          if (!isGone(error)) throw error;
          rmSync(path, { force: true });
          return undefined;
        }
      }),
  );
  return answers.filter(answer => answer !== undefined);
}

/** Nobody listens at the socket, whose process was killed. */
function isGone(error: unknown): boolean {
  const code = error instanceof Error ? foreignCode(error.cause) : undefined;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

function socketsOf(context: CommandContext): readonly string[] {
  const directory = directoryOf(context);
  try {
    return readdirSync(directory)
      .filter(name => /^\d+-[0-9a-f]{8}\.sock$/.test(name))
      .map(name => join(directory, name));
  } catch (error) {
    if (foreignCode(error) === undefined) throw error;
    return [];
  }
}

function directoryOf({ homeDir }: CommandContext): string {
  return join(homeDir, '.postern', 'run');
}
