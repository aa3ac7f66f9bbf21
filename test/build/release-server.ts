// A publisher for tests: programs and lists of releases over HTTPS, with keys and a CA of its own, and whatever may be wrong with
// them.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Release } from '../../internal/update/release-list.ts';
import {
  describeProgram,
  makeReleaseSigner,
  type ReleaseSigner,
  releaseListText,
  validFor,
} from '../../scripts/package/releases.ts';
import { createTestCa } from '../support/test-ca.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface ReleaseServer extends AsyncDisposable {
  /** Of the list. */
  readonly url: string;
  /** Whom the programs believe. */
  readonly signer: ReleaseSigner;
  /** Variables with which a program trusts the server. */
  readonly env: Readonly<Record<string, string>>;
  /** What paths answer; anything else is 404. */
  readonly answers: Map<string, Answer>;
  /** Paths that were asked for. */
  readonly asked: string[];
  /** Offers the program at `path` as this version. */
  offer(version: string, path: string): Release;
  /** Offers a list with these releases; gives its text. */
  publish(releases: readonly Release[], options?: { readonly signer?: ReleaseSigner; readonly days?: number }): string;
}

/** `target` is the platform of the programs. */
export async function openReleaseServer(directory: string, target: string): Promise<ReleaseServer> {
  const ca = await createTestCa('Publisher');
  const caFile = join(directory, 'publisher-ca.pem');
  await writeFile(caFile, ca.cert);
  const answers = new Map<string, Answer>();
  const asked: string[] = [];
  const server = createServer(await ca.issue(['localhost']), (request, response) => {
    const path = request.url ?? '/';
    asked.push(path);
    const answer = answers.get(path);
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const signer = makeReleaseSigner();
  return {
    url: `https://localhost:${port}/releases.json`,
    env: { NODE_EXTRA_CA_CERTS: caFile },
    ...{ signer, answers, asked },
    offer(version, path) {
      const described = describeProgram(path);
      // Named by content: two programs of one version do not get in each other's way.
      const name = `postern-${version}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
      answers.set(`/${name}`, (_request, response) => {
        response.writeHead(200, { 'Content-Length': described.bytes });
        createReadStream(path).pipe(response);
      });
      return { version, programs: { [target]: { ...described, name } } };
    },
    publish(releases, options = {}) {
      const text = releaseListText(
        { ...validFor(options.days ?? 1), releases: [...releases] },
        options.signer ?? signer,
      );
      answers.set('/releases.json', (_request, response) => response.end(text));
      return text;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
