// An edge of ours with a connector, ours or a stock one: real programs, a process each, with a tunnel made and routed by the
// commands a user types.

import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository, startChild } from '../support/child-program.ts';
import { type Connector, type ConnectorProgram, type PosternProgram, sourcesOf, startConnector } from './connector.ts';
import { type Contender, type OriginPorts, publishedHost } from './contender.ts';
import type { BenchOptions } from './options.ts';

const run = promisify(execFile);
/** Connections of a connector, as by default. */
const connections = 4;
const tunnelName = 'bench';

/** Whose programs a pair is made of. */
export interface PairProgram {
  readonly name: string;
  /** Whose edge it is. */
  readonly program: PosternProgram;
  readonly connector: ConnectorProgram;
}

export interface PairInputs extends PairProgram {
  readonly options: BenchOptions;
  /** A directory of its own. */
  readonly directory: string;
  readonly origins: OriginPorts;
}

export interface Pair extends Contender {
  /** Of visitors over HTTP/1.1 and over HTTP/2, on loopback. */
  readonly ports: { readonly http: number; readonly https: number };
}

/** Ours first, then those asked for. */
export function pairPrograms({ before, peer }: BenchOptions): readonly PairProgram[] {
  const program = sourcesOf(repository);
  const programs: PairProgram[] = [{ name: 'ours', program, connector: { postern: program } }];
  if (before !== undefined) {
    const old = sourcesOf(before);
    programs.push({ name: 'before', program: old, connector: { postern: old } });
  }
  if (peer !== undefined) programs.push({ name: 'peer', program, connector: { stock: peer } });
  return programs;
}

export async function openPair(inputs: PairInputs): Promise<Pair> {
  await using opening = new AsyncDisposableStack();
  const { directory, options, origins, program } = inputs;
  await mkdir(directory, { recursive: true });
  const state = join(directory, 'edge');
  const flags = [
    ...['--state-dir', state, '--location', 'bench', '--quick-tunnels=false', '--grace-period', '1s'],
    ...['--connector-port', '0', '--http-port', '0', '--https-port', '0', '--api', '127.0.0.1:0'],
    ...['--socks', '127.0.0.1:0', '--socks-open'],
  ];
  const edge = opening.use(startChild([...program(options.nodeFlags), 'edge', 'run', ...flags], { home: directory }));
  await edge.logged(/Edge ready/);
  const portOf = (what: string): number =>
    Number(new RegExp(`Listening for ${what} address=\\S+?:(\\d+)`).exec(edge.log())?.[1]);
  const [connectorPort, httpPort, httpsPort] = [
    portOf('connectors'),
    portOf('HTTP visitors'),
    portOf('HTTPS visitors'),
  ];
  const socksPort = portOf('SOCKS5');

  const [node = '', ...words] = program([]);
  const command = async (...args: readonly string[]): Promise<string> => {
    const env = { HOME: directory, PATH: process.env.PATH ?? '' };
    const { stdout } = await run(node, [...words, 'tunnel', ...args], { cwd: directory, env });
    return stdout.trim();
  };
  await command('create', tunnelName);
  await command('route', 'dns', tunnelName, publishedHost);
  await command('route', 'ip', 'add', '127.0.0.0/8', tunnelName);
  const token = await command('token', tunnelName);

  const start = (haConnections: number, home: string): Promise<Connector> =>
    startConnector({
      program: inputs.connector,
      protocol: options.protocol,
      nodeFlags: options.nodeFlags,
      directory: join(directory, home),
      token,
      edge: { port: connectorPort, caFile: join(state, 'ca.pem') },
      originPort: origins.http,
      sinkPort: origins.sink,
      haConnections,
      runFlags: 'postern' in inputs.connector ? ['--allow-destination', '127.0.0.0/8'] : [],
    });
  const connector = opening.adopt(await start(connections, 'connector'), it => it.close());
  await connector.registered(connections);
  const owned = opening.move();
  return {
    name: inputs.name,
    processes: [
      { role: 'edge', pid: edge.pid },
      { role: 'connector', pid: connector.pid },
    ],
    ports: { http: httpPort, https: httpsPort },
    target: kind => {
      if (kind === 'tcp-down') return { via: 'socks', port: socksPort, tcpPort: origins.tcpDown };
      if (kind === 'tcp-up') return { via: 'socks', port: socksPort, tcpPort: origins.tcpUp };
      return { via: options.visitors, port: options.visitors === 'http2' ? httpsPort : httpPort };
    },
    measureStart: async () => {
      const another = await start(1, 'start');
      await another.registered(1);
      const tookMs = performance.now() - another.startedMs;
      await another.close();
      return tookMs;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
