// Waits for what a TLS client says first, without taking it away: whoever gets the socket next reads it all.

import type { Socket } from 'node:net';
import { type ClientHello, readClientHello } from './client-hello.ts';

/** What is looked at: all but 'more'. */
export type FirstWords = Exclude<ClientHello, { readonly kind: 'more' }>;

/**
 * Calls `done` once with what came first; every byte read is then in the socket again, which is paused. Not called when the
 * socket closes or ends before; then, and when nothing of use came within `deadlineMs`, the socket is destroyed.
 */
export function peek(socket: Socket, deadlineMs: number, done: (words: FirstWords) => void): void {
  const chunks: Buffer[] = [];
  const end = (): void => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', giveUp).off('close', end);
  };
  const giveUp = (): void => {
    end();
    socket.destroy();
  };
  const onReadable = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      chunks.push(chunk);
    const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    chunks.splice(0, chunks.length, bytes);
    const words = readClientHello(bytes);
    if (words.kind === 'more') return;
    end();
    socket.pause();
    socket.unshift(bytes);
    done(words);
  };
  const timer = setTimeout(giveUp, deadlineMs);
  socket.on('readable', onReadable).once('end', giveUp).once('close', end);
}
