// A UDP origin that echoes, on loopback and a free port.

import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

export interface UdpEcho {
  readonly port: number;
  /** Datagrams received so far. */
  readonly received: Uint8Array[];
  /** Source ports seen. */
  readonly sources: Set<number>;
  close(): Promise<void>;
}

/** @param answer what to send back for a datagram; the same bytes by default, undefined for silence */
export async function openUdpEcho(
  options: { readonly host?: string; readonly answer?: (payload: Uint8Array) => Uint8Array | undefined } = {},
): Promise<UdpEcho> {
  const host = options.host ?? '127.0.0.1';
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  // A failed test must not hang on its origin.
  socket.unref();
  const received: Uint8Array[] = [];
  const sources = new Set<number>();
  socket.on('message', (payload, { address, port }) => {
    received.push(payload);
    sources.add(port);
    const answer = options.answer === undefined ? payload : options.answer(payload);
    if (answer !== undefined) socket.send(answer, port, address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, host, resolve);
  });
  const { port } = socket.address() as AddressInfo;
  return { port, received, sources, close: () => new Promise(resolve => socket.close(() => resolve())) };
}
