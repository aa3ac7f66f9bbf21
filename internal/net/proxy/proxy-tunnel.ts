// Turns a connection to a forward proxy into one to the target behind it: HTTP CONNECT, or SOCKS5 as a client.
// Source: RFC 9110 §9.3.6; RFC 1928 (by the `socks` package).

import type { Socket } from 'node:net';
import { formatHostPort } from '../address/host-port.ts';
import { type ForwardProxy, proxyAuthorization } from './forward-proxy.ts';

const maxHeadBytes = 16 * 1024;

/** Settles when bytes written to the returned socket reach `host:port`. Rejects with the proxy's refusal; has no deadline. */
export async function openProxyTunnel(
  socket: Socket,
  proxy: ForwardProxy,
  host: string,
  port: number,
): Promise<Socket> {
  if (proxy.kind !== 'socks5') {
    await connectThrough(socket, proxy, host, port);
    return socket;
  }
  const { user, password } = proxy;
  // Loaded when first needed: few connectors stand behind a SOCKS proxy.
  const { SocksClient } = await import('socks');
  const made = await SocksClient.createConnection({
    proxy: {
      host: proxy.host,
      port: proxy.port,
      type: 5,
      ...(user === '' ? {} : { userId: user, password }),
    },
    command: 'connect',
    destination: { host, port },
    existing_socket: socket,
  });
  return made.socket;
}

async function connectThrough(socket: Socket, proxy: ForwardProxy, host: string, port: number): Promise<void> {
  const authority = formatHostPort(host, port);
  const authorization = proxyAuthorization(proxy);
  const credentials = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`, 'latin1');
  const status = statusOf(await readHead(socket));
  if (status < 200 || status > 299) throw new Error(refusalText(status));
}

/** A proxy's answer to CONNECT has no body that matters here: its status line is enough. */
function statusOf(head: string): number {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r|\n|$)/.exec(head)?.[1];
  if (status === undefined) throw new Error('the proxy answered with something other than HTTP/1.1');
  return Number(status);
}

function refusalText(status: number): string {
  if (status === 407) return 'the proxy answered 407: it wants a user and password, or others';
  if (status === 403) return 'the proxy answered 403: it does not allow CONNECT to this host and port';
  return `the proxy answered ${status}`;
}

/** Reads up to the empty line and leaves what follows in the socket. */
function readHead(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let held: Buffer = Buffer.alloc(0);
  const onReadable = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      held = Buffer.concat([held, chunk]);
      const end = held.indexOf('\r\n\r\n');
      if (end !== -1) {
        stop();
        if (held.length > end + 4) socket.unshift(held.subarray(end + 4));
        resolve(held.toString('latin1', 0, end));
        return;
      }
      if (held.length > maxHeadBytes) fail('the answer of the proxy is too long');
    }
  };
  const onEnd = (): void => fail('the proxy closed the connection');
  const fail = (reason: string): void => {
    stop();
    reject(new Error(reason));
  };
  const stop = (): void => {
    socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd);
  };
  socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd);
  return promise;
}
