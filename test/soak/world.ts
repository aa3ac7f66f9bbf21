// The programs of a soak: an edge, a connector with a config file, and their samples. The origin is in the soak's own
// process.

import { readdirSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { residentMb } from '../bench/process-usage.ts';
import { type ChildProgram, posternCommand, startChild } from '../support/child-program.ts';
import { until } from '../support/wait.ts';
import type { Sample } from './judge.ts';
import type { SoakOptions } from './options.ts';

export const host = 'app.localhost';
const connections = 4;
/** Of a download; uploads have as much. */
export const bodyBytes = 1024 * 1024;

export interface SoakWorld extends AsyncDisposable {
  readonly edge: ChildProgram;
  readonly connector: ChildProgram;
  readonly httpPort: number;
  /** Closes all connections of the tunnel by the API. */
  cut(): Promise<void>;
  /** Changes the config file of the connector, and has the edge read its files again. */
  reload(): Promise<void>;
  /** Whether all connections are registered again. */
  isWhole(): Promise<boolean>;
}

export async function openSoakWorld({ protocol }: SoakOptions, directory: string): Promise<SoakWorld> {
  await using opened = new AsyncDisposableStack();
  const originPort = await openOrigin(opened);
  const home = join(directory, 'home');
  await mkdir(home);
  const postern = (...args: readonly string[]): ChildProgram => startChild([...posternCommand(), ...args], { home });
  const edge = postern(
    ...['edge', 'run', '--connector-port', '0', '--http-port', '0', '--https-port', '-1', '--api', '127.0.0.1:0'],
    ...['--grace-period', '5s', '--metrics', '127.0.0.1:0'],
  );
  opened.use(edge);
  await edge.logged(/Edge ready/);
  const [, httpPort = ''] = await edge.logged(/Listening for HTTP visitors address=\S+?:(\d+)/);
  const command = async (...args: readonly string[]): Promise<string> => {
    const child = postern(...args);
    const code = await child.exited;
    if (code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${code}: ${child.log()}`);
    return child.output();
  };
  await command('tunnel', 'create', '--credentials-file', 'tunnel.json', 'app');
  await command('tunnel', 'route', 'dns', 'app', 'app');
  const config = join(home, 'config.yml');
  let reloads = 0;
  const writeConfig = async (): Promise<void> => {
    // Put in place whole: a reader in between would see half a file.
    await writeFile(`${config}.new`, configText(originPort, reloads));
    await rename(`${config}.new`, config);
  };
  await writeConfig();
  const connector = postern(
    ...['tunnel', '--config', config, '--protocol', protocol, '--ha-connections', String(connections)],
    ...['--metrics', '127.0.0.1:0', '--grace-period', '5s', 'run', '--credentials-file', 'tunnel.json', 'app'],
  );
  opened.use(connector);
  const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
  const isWhole = async (): Promise<boolean> => {
    const answer = await fetch(`http://${metrics}/ready`).catch(() => undefined);
    const { readyConnections } = ((await answer?.json()) ?? {}) as { readyConnections?: number };
    return readyConnections === connections;
  };
  await until('all connections', isWhole);
  const all = opened.move();
  return {
    edge,
    connector,
    httpPort: Number(httpPort),
    cut: async () => void (await command('tunnel', 'cleanup', 'app')),
    reload: async () => {
      reloads += 1;
      await writeConfig();
      edge.child.kill('SIGHUP');
    },
    isWhole,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function configText(originPort: number, reloads: number): string {
  return `tunnel: app
ingress:
  - hostname: soak-${reloads}.localhost
    service: http_status:418
  - hostname: ${host}
    service: http://127.0.0.1:${originPort}
    originRequest:
      connectTimeout: ${10 + (reloads % 20)}s
  - service: http_status:404
`;
}

async function openOrigin(opened: AsyncDisposableStack): Promise<number> {
  const body = Buffer.alloc(bodyBytes, 'x');
  const server = createServer((request, response) => {
    if (request.url === '/down') response.end(body);
    else if (request.url === '/up') void count(request).then(bytes => response.end(String(bytes)));
    else response.end('origin');
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', socket => {
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  opened.defer(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function count(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of request) bytes += (chunk as Buffer).length;
  } catch {
    // Cut on the way: the visitor counts that.
  }
  return bytes;
}

/** What `program` uses now. */
export function sample(program: ChildProgram, atMs: number): Sample {
  const of = (folder: string): number => readdirSync(`/proc/${program.pid}/${folder}`).length;
  return { atMs, residentMb: residentMb(program.pid), descriptors: of('fd'), threads: of('task') };
}
