// One DNS query over a stream of its own: for answers that were cut, and for tunnels without datagrams (HTTP/2).
// Source: RFC 1035 §4.2.2, RFC 7766 §5.

import { type Duplex, PassThrough } from 'node:stream';
import { readExactly } from '../../net/stream/read-exactly.ts';

/** Opens a stream to a resolver; gives up when `visitor` closes. Rejects with what opening a flow rejects with. */
export type OpenDnsStream = (visitor: Duplex) => Promise<Duplex>;

/** The resolver's message. Rejects when there is no stream, it ends early, or `signal` aborts; nothing is left then. */
export async function askOverTcp(open: OpenDnsStream, query: Uint8Array, signal: AbortSignal): Promise<Buffer> {
  // Stands for a visitor's socket: its end ends the opening, or the flow.
  const visitor = new PassThrough();
  const stop = (): void => void visitor.destroy();
  signal.addEventListener('abort', stop);
  try {
    if (signal.aborted) stop();
    const stream = await open(visitor);
    visitor.once('close', () => stream.destroy());
    stream.on('error', ignore);
    if (visitor.destroyed) stream.destroy();
    const length = Buffer.from([query.length >> 8, query.length & 0xff]);
    stream.write(Buffer.concat([length, query]));
    return await readExactly(stream, (await readExactly(stream, 2)).readUInt16BE(0));
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function ignore(): void {
  // The reads that follow tell.
}
