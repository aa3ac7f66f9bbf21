// The connector under test: the real program with a real token, as a child process.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { parseTunnelId } from '../../internal/schema/api-id.ts';
import type { BenchOptions } from './options.ts';

const entry = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'cmd', 'postern.js');
const tunnelId = parseTunnelId('0b5e7c3a-9d1f-4c62-8a7e-51f0c2d3e4b5');

export interface Connector {
  readonly pid: number;
  /** `performance.now()` when it was started. */
  readonly startedMs: number;
  /** Stops it in order, so that a profile is written; rejects when it did not exit with 0. */
  close(): Promise<void>;
}

export interface ConnectorInputs {
  readonly options: BenchOptions;
  /** A directory of its own: home, config and log. */
  readonly directory: string;
  /** The bench's own edge on loopback, or a token that a real edge gave. */
  readonly edge: { readonly port: number; readonly caPin: string } | { readonly token: string };
  readonly originPort: number;
  readonly sinkPort: number;
  readonly haConnections: number;
  /** Further flags of `tunnel run`. */
  readonly runFlags?: readonly string[];
  /** Words that run the program somewhere else and become it: `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

export async function startConnector(inputs: ConnectorInputs): Promise<Connector> {
  const { directory, edge, options } = inputs;
  const token = 'token' in edge ? edge.token : tokenFor(edge);
  const config = join(directory, 'config.yml');
  await writeFile(
    config,
    `ingress:
  - path: ^/sink$
    service: http://127.0.0.1:${inputs.sinkPort}
  - service: http://127.0.0.1:${inputs.originPort}
`,
  );
  const startedMs = performance.now();
  const [file = '', ...args] = [
    ...(inputs.prefix ?? []),
    ...[
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      ...options.nodeFlags,
      entry,
      ...['tunnel', '--config', config, '--protocol', options.protocol, '--metrics', '127.0.0.1:0'],
      ...['--ha-connections', String(inputs.haConnections), '--grace-period', '1s', 'run'],
      ...(inputs.runFlags ?? []),
    ],
  ];
  const child = spawn(file, args, {
    cwd: directory,
    env: { HOME: directory, PATH: process.env.PATH ?? '', TUNNEL_TOKEN: token },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log = join(directory, 'connector.log');
  child.stderr.pipe(createWriteStream(log, { flags: 'a' }));
  const exited = new Promise<number | string>(resolve =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  );
  return {
    pid: child.pid ?? 0,
    startedMs,
    close: async () => {
      child.kill('SIGTERM');
      const end = await exited;
      if (end !== 0) throw new Error(`The connector ended with ${end}; see ${log}`);
    },
  };
}

function tokenFor({ port, caPin }: { readonly port: number; readonly caPin: string }): string {
  if (tunnelId === undefined) throw new Error('the tunnel id is not valid');
  const secret = Buffer.from('a secret of the benchmark');
  return encodeToken({ accountTag: 'bench', tunnelId, secret, edge: [`127.0.0.1:${port}`], caPin });
}
