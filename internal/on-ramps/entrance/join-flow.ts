// Joins an on-ramp's socket with the stream of its flow and counts the bytes, at no cost per chunk.

import type { Socket } from 'node:net';
import { splice } from '../../net/stream/splice.ts';
import type { TcpFlow } from '../../private-network/flow-opener.ts';

/** Takes both over. Call it after the on-ramp's own answer was written; bytes waiting in `visitor` belong to the flow. */
export function joinFlow(visitor: Socket, { stream, flow }: TcpFlow): void {
  // The socket counts for us: from here on everything it reads and writes is the flow's.
  const read = visitor.bytesRead - visitor.readableLength;
  const written = visitor.bytesWritten;
  flow.measure = () => ({ up: visitor.bytesRead - read, down: visitor.bytesWritten - written });
  splice(visitor, stream);
}
