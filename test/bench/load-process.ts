// The process that makes the load: an edge that connectors register at, without routing, and a client for the reverse
// proxy. Its own CPU is not measured. It is forked by main.ts and does what messages say; see LoadCommand.

import { randomUUID, X509Certificate } from 'node:crypto';
import { Pool } from 'undici';
import { serveRegistration } from '../../internal/rpc/registration-server.ts';
import { listenTransports } from '../../internal/transport/listen.ts';
import { spkiPin } from '../../internal/transport/tls.ts';
import type { EdgeConnection } from '../../internal/transport/transport.ts';
import { createTestCa } from '../support/test-ca.ts';
import { httpSend } from './http-load.ts';
import { type LoadResult, runLoad, type Send } from './load.ts';
import type { LoadKind } from './options.ts';
import { atOnce } from './requests.ts';
import { privateSend, proxiedSend } from './stream-load.ts';
import { tunnelSend } from './tunnel-load.ts';

export interface LoadCommand {
  readonly kind: LoadKind;
  readonly seconds: number;
  /** Port of the proxy on loopback; undefined = down the tunnel. */
  readonly proxyPort?: number;
  /** A raw TCP flow to this port on loopback, or to what the proxy leads to, instead of a request; not for `small`. */
  readonly tcpPort?: number;
}

/** `listening` once, `connections` at every change, `result` for each command. */
export type LoadEvent =
  | { readonly event: 'listening'; readonly port: number; readonly caPin: string }
  | { readonly event: 'connections'; readonly count: number }
  | { readonly event: 'result'; readonly result: LoadResult };

const connections: EdgeConnection[] = [];

function tell(event: LoadEvent): void {
  process.send?.(event);
}

function accept(connection: EdgeConnection): void {
  serveRegistration(connection.control, {
    register: () => {
      connections.push(connection);
      tell({ event: 'connections', count: connections.length });
      return Promise.resolve({
        details: { uuid: randomUUID(), locationName: 'bench', tunnelIsRemotelyManaged: false },
      });
    },
    updateLocalConfiguration: () => Promise.resolve(),
    unregister: () => {
      setImmediate(() => void connection.drain(1_000));
      return Promise.resolve();
    },
  });
  void connection.closed.then(() => {
    const index = connections.indexOf(connection);
    if (index === -1) return;
    connections.splice(index, 1);
    tell({ event: 'connections', count: connections.length });
  });
}

async function run(command: LoadCommand): Promise<void> {
  const { kind, seconds, proxyPort, tcpPort } = command;
  if (tcpPort === undefined && proxyPort !== undefined) {
    const pool = new Pool(`http://127.0.0.1:${proxyPort}`, { connections: atOnce[kind] });
    tell({ event: 'result', result: await runLoad(httpSend(kind, pool), atOnce[kind], seconds) });
    await pool.close();
    return;
  }
  tell({ event: 'result', result: await runLoad(sendOf(command), atOnce[kind], seconds) });
}

function sendOf({ kind, proxyPort, tcpPort }: LoadCommand): Send {
  if (tcpPort === undefined) return tunnelSend(kind, [...connections]);
  const direction = kind === 'up' ? 'up' : 'down';
  return proxyPort === undefined
    ? privateSend(direction, [...connections], tcpPort)
    : proxiedSend(direction, proxyPort);
}

const ca = await createTestCa('Bench CA');
const certificates = await ca.issue(['h2.cftunnel.com', 'quic.cftunnel.com']);
const { port } = await listenTransports({
  host: '127.0.0.1',
  port: 0,
  certificates,
  onQuicUnavailable: error => console.error(error.message),
  onConnection: accept,
});
process.on('message', (command: LoadCommand) => void run(command));
process.on('disconnect', () => process.exit(0));
tell({ event: 'listening', port, caPin: spkiPin(new X509Certificate(ca.cert)) });
