// frps and frpc as both ends of a tunnel to the same origins: plain HTTP by host name, and a TCP port for each kind of flow.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from '../support/child-program.ts';
import { until } from '../support/wait.ts';
import { type Contender, type OriginPorts, publishedHost } from './contender.ts';
import { freePort } from './free-port.ts';
import type { BenchOptions } from './options.ts';
import { paths } from './requests.ts';

/** `programs`: the directory of both. Over TCP (with TLS, frp's default) or QUIC. */
export async function openFrp(
  programs: string,
  directory: string,
  { protocol, visitors }: BenchOptions,
  origins: OriginPorts,
): Promise<Contender> {
  await using opening = new AsyncDisposableStack();
  await mkdir(directory, { recursive: true });
  const [bind, quic, http] = [await freePort(), await freePort('udp'), await freePort()];
  const [down, up] = [await freePort(), await freePort()];
  const isQuic = protocol === 'quic';
  const serverFile = join(directory, 'frps.toml');
  await writeFile(
    serverFile,
    `bindAddr = "127.0.0.1"
proxyBindAddr = "127.0.0.1"
bindPort = ${bind}
quicBindPort = ${quic}
vhostHTTPPort = ${http}
`,
  );
  const clientFile = join(directory, 'frpc.toml');
  await writeFile(
    clientFile,
    `serverAddr = "127.0.0.1"
serverPort = ${isQuic ? quic : bind}
transport.protocol = "${isQuic ? 'quic' : 'tcp'}"
${httpProxy('origin', origins.http, '/')}
${httpProxy('sink', origins.sink, paths.up)}
${tcpProxy('down', origins.tcpDown, down)}
${tcpProxy('up', origins.tcpUp, up)}`,
  );
  // Both log to stdout.
  const server = opening.use(startChild([join(programs, 'frps'), '-c', serverFile], { home: directory }));
  await until('frps', () => server.output().includes('frps started successfully'));
  const client = opening.use(startChild([join(programs, 'frpc'), '-c', clientFile], { home: directory }));
  await until('four proxies of frpc', () => (client.output().match(/start proxy success/g)?.length ?? 0) >= 4);
  const owned = opening.move();
  return {
    name: 'frp',
    processes: [
      { role: 'edge', pid: server.pid },
      { role: 'connector', pid: client.pid },
    ],
    target: kind => {
      if (kind === 'tcp-down') return { via: 'tcp', port: down };
      if (kind === 'tcp-up') return { via: 'tcp', port: up };
      return visitors === 'http1' ? { via: 'http1', port: http } : undefined;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function httpProxy(name: string, port: number, location: string): string {
  return `
[[proxies]]
name = "${name}"
type = "http"
localPort = ${port}
customDomains = ["${publishedHost}"]
locations = ["${location}"]`;
}

function tcpProxy(name: string, port: number, remotePort: number): string {
  return `
[[proxies]]
name = "${name}"
type = "tcp"
localPort = ${port}
remotePort = ${remotePort}
`;
}
