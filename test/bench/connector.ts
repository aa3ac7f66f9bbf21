// A connector under test, ours or a stock one, as a child process.

import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChildProgram, posternCommand, startChild } from '../support/child-program.ts';
import { until } from '../support/wait.ts';

/** The words that start a program of ours, given flags for its Node: of a checkout, or built. */
export type PosternProgram = (nodeFlags: readonly string[]) => readonly string[];

/** Which program: ours, or a stock cloudflared. */
export type ConnectorProgram = { readonly postern: PosternProgram } | { readonly stock: string };

/** Ours, from the sources of a checkout. */
export function sourcesOf(root: string): PosternProgram {
  return nodeFlags => posternCommand(nodeFlags, root);
}

export interface Connector {
  readonly pid: number;
  /** `performance.now()` when it was started. */
  readonly startedMs: number;
  /** Settles when so many connections were registered. */
  registered(count: number): Promise<void>;
  /** Stops it in order, so that a profile is written; rejects when it did not exit with 0. */
  close(): Promise<void>;
}

export interface ConnectorInputs {
  readonly program: ConnectorProgram;
  readonly protocol: 'http2' | 'quic';
  readonly nodeFlags: readonly string[];
  /** A directory of its own, made when missing: home, config and log. */
  readonly directory: string;
  readonly token: string;
  /** Where the edge is; our own token says it itself. */
  readonly edge?: { readonly port: number; readonly caFile: string };
  readonly originPort: number;
  readonly sinkPort: number;
  readonly haConnections: number;
  /** Further flags of `tunnel run`. */
  readonly runFlags?: readonly string[];
  /** Words that run the program somewhere else and become it: `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

const registration = /Registered tunnel connection/g;

export async function startConnector(inputs: ConnectorInputs): Promise<Connector> {
  const { directory, edge, program } = inputs;
  await mkdir(directory, { recursive: true });
  const config = join(directory, 'config.yml');
  await writeFile(
    config,
    `ingress:
  - path: ^/sink$
    service: http://127.0.0.1:${inputs.sinkPort}
  - service: http://127.0.0.1:${inputs.originPort}
`,
  );
  const isOurs = 'postern' in program;
  // A stock connector makes no more connections than it knows addresses.
  const addresses = edge === undefined ? [] : new Array<string>(inputs.haConnections).fill(`127.0.0.1:${edge.port}`);
  const child: ChildProgram = startChild(
    [
      ...(inputs.prefix ?? []),
      ...(isOurs ? program.postern(inputs.nodeFlags) : [program.stock]),
      ...['tunnel', '--config', config, '--protocol', inputs.protocol, '--metrics', '127.0.0.1:0'],
      ...(isOurs ? [] : ['--no-autoupdate']),
      ...(edge === undefined ? [] : ['--cacert', edge.caFile]),
      ...addresses.flatMap(address => ['--edge', address]),
      ...['--ha-connections', String(inputs.haConnections), '--grace-period', '1s', 'run'],
      ...(inputs.runFlags ?? []),
    ],
    { home: directory, env: { TUNNEL_TOKEN: inputs.token } },
  );
  const logFile = join(directory, 'connector.log');
  child.child.stderr?.pipe(createWriteStream(logFile, { flags: 'a' }));
  return {
    pid: child.pid,
    startedMs: child.startedMs,
    registered: count =>
      until(`${count} connections, see ${logFile}`, () => (child.log().match(registration)?.length ?? 0) >= count),
    close: async () => {
      const end = await child.stop();
      if (end !== 0) throw new Error(`The connector ended with ${end}; see ${logFile}`);
    },
  };
}
