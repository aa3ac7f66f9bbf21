// Packages and repositories of this machine's binary, made once for a test file and served over HTTP.

import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { buildBinary } from '../../scripts/build/binary.ts';
import { hostTarget } from '../../scripts/build/targets.ts';
import { sourceDate } from '../../scripts/package/contents.ts';
import { makeLinuxPackages } from '../../scripts/package/linux-packages.ts';
import { openSigner, type Signer } from '../../scripts/package/signing.ts';

export interface MadePackages extends AsyncDisposable {
  /** Holds `repositories`, which is served, and the binary. */
  readonly folder: string;
  readonly repositories: string;
  readonly binary: string;
  readonly url: string;
  readonly signer: Signer;
  /** Makes all of it once more, the binary too, elsewhere; gives the folder. */
  again(): Promise<string>;
}

export async function makePackages(): Promise<MadePackages> {
  await using closing = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'postern-packages-'));
  closing.defer(() => rm(folder, { recursive: true, force: true }));
  const repositories = join(folder, 'repositories');
  const server = createServer(async (request, response) => {
    const path = join(repositories, normalize(decodeURIComponent(request.url ?? '/')));
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() !== true) return void response.writeHead(404).end();
    response.writeHead(200, { 'Content-Length': found.size });
    createReadStream(path).pipe(response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  closing.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const epoch = sourceDate();
  const signer = closing.use(openSigner({ kind: 'test' }, epoch));
  const make = async (binary: string, target: string): Promise<void> => {
    if (hostTarget === undefined) throw new Error('there is no binary for this machine');
    await buildBinary(hostTarget, binary);
    const binaries = new Map([[hostTarget.name, binary]]);
    await makeLinuxPackages({ binaries, folder: target, epoch, isFast: true, signer, url });
  };
  const binary = join(folder, 'postern');
  await make(binary, repositories);
  const kept = closing.move();
  return {
    ...{ folder, repositories, binary, url, signer },
    again: async () => {
      const second = join(folder, 'again');
      await make(join(folder, 'postern-again'), second);
      return second;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
