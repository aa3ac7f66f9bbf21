// TCP flows of one bulk body each, as somebody with private TCP makes them: by SOCKS5, or by a TCP proxy. The far end is
// tcp-origin.ts. Source: RFC 1928 §3–6.

import { connect, type Socket } from 'node:net';
import { writeBulk } from './bulk-body.ts';
import type { Target } from './contender.ts';
import type { Done, Send } from './load.ts';
import { bulkBytes } from './requests.ts';

/** Version 5, one method: no authentication. */
const greeting = Buffer.of(5, 1, 0);
/** Bytes of the answers to greeting and request, the latter with an IPv4 address. */
const answersBytes = 2 + 10;

export function flowSend(kind: 'tcp-down' | 'tcp-up', target: Target): Send {
  return (_slot, done) => {
    const { port } = target;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    if (target.via !== 'socks') {
      move(kind, socket, 0, done);
      return;
    }
    const { tcpPort } = target;
    socket.write(greeting);
    // Sent at once: the edge answers each in its turn.
    socket.write(Buffer.of(5, 1, 0, 1, 127, 0, 0, 1, tcpPort >> 8, tcpPort & 0xff));
    move(kind, socket, answersBytes, done);
  };
}

/** Down: reads the body to its end. Up: writes it and reads the one byte that says it has arrived. */
function move(kind: 'tcp-down' | 'tcp-up', socket: Socket, ahead: number, done: Done): void {
  const expected = ahead + (kind === 'tcp-down' ? bulkBytes : 1);
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
  });
  socket.once('end', () => socket.end());
  socket.on('error', () => undefined);
  socket.once('close', () => {
    const ok = received === expected && socket.readableEnded;
    done(ok ? bulkBytes : 0, ok);
  });
  if (kind === 'tcp-up') writeBulk(socket, () => undefined);
}
