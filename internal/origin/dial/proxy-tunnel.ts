// Turns a connection to a forward proxy into one to the target behind it: HTTP CONNECT, or SOCKS5 as a client.
// Source: RFC 9110 §9.3.6; RFC 1928 (by the `socks` package).

import type { Socket } from 'node:net';
import { formatHostPort } from '../../net/address/host-port.ts';
import { parseResponseHead } from '../message/response-head.ts';
import { type OutboundProxy, proxyAuthorization } from './outbound-proxy.ts';

const maxHeadBytes = 16 * 1024;

/** Settles when bytes written to the returned socket reach `host:port`. Rejects with the proxy's refusal; has no deadline. */
export async function openTunnel(socket: Socket, proxy: OutboundProxy, host: string, port: number): Promise<Socket> {
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

async function connectThrough(socket: Socket, proxy: OutboundProxy, host: string, port: number): Promise<void> {
  const authority = formatHostPort(host, port);
  const authorization = proxyAuthorization(proxy);
  const credentials = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`, 'latin1');
  const text = await readHead(socket);
  const { status } = parseResponseHead(text, 'CONNECT');
  if (status < 200 || status > 299) throw new Error(`the proxy answered ${status}`);
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
