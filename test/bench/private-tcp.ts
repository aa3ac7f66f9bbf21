// npm run bench -- --only private-tcp: what TCP flows into a private network cost the connector, a child process. The load
// process is the edge: it opens the streams as the on-ramps do, without on-ramp or routes in front, so that neither the
// connector's figures nor the rate contain them. Beside it the same flows through nginx's stream module.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startConnector } from './connector.ts';
import { openLoadClient } from './load-client.ts';
import { measure, proxyWarmUpSeconds, type Subject } from './measure.ts';
import { ensureNginx, openNginxTcpProxy } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { type Compared, formatLoad, type Sample } from './report.ts';
import { type Calibration, stockHttp } from './stock.ts';
import type { StreamKind } from './stream-load.ts';
import type { TcpOriginPorts } from './tcp-origin.ts';

const kinds: readonly StreamKind[] = ['down', 'up'];

/** Gives the report as text. */
export async function benchPrivateTcp(
  options: BenchOptions,
  directory: string,
  calibration: Calibration | undefined,
): Promise<string> {
  await using closing = new AsyncDisposableStack();
  const origin = closing.adopt(fork(join(dirname(fileURLToPath(import.meta.url)), 'tcp-origin.ts')), child =>
    child.disconnect(),
  );
  const [ports] = (await once(origin, 'message')) as [TcpOriginPorts];
  const load = closing.adopt(await openLoadClient(), it => it.close());
  const home = join(directory, 'private-tcp');
  await mkdir(home);
  const connector = closing.adopt(
    await startConnector({
      ...{ options, directory: home, edge: load, originPort: ports.down, sinkPort: ports.up, haConnections: 4 },
      runFlags: ['--allow-destination', '127.0.0.0/8'],
    }),
    it => it.close(),
  );
  await load.connections(4);

  const countsInstructions = options.instructions;
  const tunnel: Subject = { pid: connector.pid, countsInstructions };
  const program = ensureNginx();
  const lines = [
    `TCP into a private network over ${options.protocol}, flows of 8 MiB, 8 at once over 4 connections; nginx: its stream`,
    `module as a TCP proxy. ${options.rounds} rounds of ${options.seconds} s, medians (range)`,
    '',
  ];
  if (calibration !== undefined)
    lines.splice(2, 0, 'A stock figure is known for HTTP bodies only; that is what stands here.');
  for (const kind of kinds) {
    const tcpPort = ports[kind];
    await using proxy = await openNginxTcpProxy(program, join(home, `nginx-${kind}`), tcpPort);
    const beside: Subject = { pid: proxy.pid, proxyPort: proxy.port, countsInstructions };
    const compared = { postern: [] as Sample[], nginx: [] as Sample[] } satisfies Compared;
    await measure(load, { kind, seconds: options.warmUpSeconds, tcpPort }, tunnel);
    await measure(load, { kind, seconds: proxyWarmUpSeconds, tcpPort }, beside);
    for (let round = 0; round < options.rounds; round += 1) {
      compared.postern.push(await measure(load, { kind, seconds: options.seconds, tcpPort }, tunnel));
      compared.nginx.push(await measure(load, { kind, seconds: options.seconds, tcpPort }, beside));
    }
    lines.push(kind, ...formatLoad(compared, false, stockHttp(calibration, options.protocol, kind)), '');
  }
  return lines.join('\n');
}
