// Many slow visitors of one kind, from one process: HTTP/1.1 by hand, a socket each, so that nothing is read that is not
// meant to be, or one HTTP/2 visitor.

import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { publishedHost } from './contender.ts';
import { type SlowCase, slowBodyBytes, slowPaths } from './slow-case.ts';
import { SlowReading } from './slow-reading.ts';

const piece = Buffer.alloc(64 * 1024, 'postern ');
/** Between two bytes that find out who was cut off: the answer to the first makes the second fail. */
const probeMs = 200;

export interface SlowEnd {
  /** Visitors, or streams, that were cut off or got an answer that ended. */
  readonly lost: number;
  /** Bytes that slow readers among the visitors have taken. */
  readonly bytes: number;
}

export interface SlowVisitors {
  /** How many got the first bytes of their answer, or sent the first of their body. */
  begun(): number;
  /** What slow readers among them have taken so far. */
  bytes(): number;
  /** Looks who is left and ends them. */
  close(): Promise<SlowEnd>;
}

/** `port` is of visitors over HTTP/1.1, for `streams-stalled` over HTTP/2 and TLS; both on loopback. */
export function openSlowVisitors({ kind, count }: SlowCase, port: number): SlowVisitors {
  if (kind === 'streams-stalled') return openStreams(count, port);
  const reading = new SlowReading();
  const begun = new Set<Socket>();
  const lost = new Set<Socket>();
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined).once('close', () => lost.add(socket));
    const isUpload = kind === 'up' || kind === 'up-stalled';
    const [method, path, more] = isUpload
      ? ['POST', slowPaths[kind], `content-length: ${slowBodyBytes}\r\n`]
      : ['GET', slowPaths.down, ''];
    socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${publishedHost}\r\n${more}\r\n`);
    if (isUpload) {
      upload(socket, () => begun.add(socket));
      // Nothing is answered before the body is over.
      socket.once('data', () => lost.add(socket));
      return socket;
    }
    socket.once('readable', () => begun.add(socket));
    if (kind === 'down') reading.add(socket);
    return socket;
  });
  return {
    begun: () => begun.size,
    bytes: () => reading.bytes,
    close: async () => {
      // Who does not read is not told of a reset either: writing finds it out.
      for (let probe = 0; probe < 2; probe += 1) {
        for (const socket of sockets) if (!socket.destroyed && kind.startsWith('down')) socket.write('\r\n');
        await delay(probeMs);
      }
      const end = { lost: lost.size, bytes: reading.bytes };
      for (const socket of sockets) socket.destroy();
      return end;
    },
  };
}

/** Writes for ever, as fast as it is taken. */
function upload(socket: Socket, begun: () => void): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.once('connect', begun).on('drain', more);
  more();
}

function openStreams(count: number, port: number): SlowVisitors {
  // The certificate is of the edge's own CA, and what is measured is not trust.
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  let begun = 0;
  let lost = 0;
  for (let index = 0; index < count; index += 1) {
    const stream = session.request({ ':authority': publishedHost, ':path': slowPaths.down });
    stream
      .on('error', () => undefined)
      .once('close', () => {
        lost += 1;
      });
    stream.once('response', () => {
      begun += 1;
    });
  }
  return {
    begun: () => begun,
    bytes: () => 0,
    close: () => {
      const end = { lost, bytes: 0 };
      session.destroy();
      return Promise.resolve(end);
    },
  };
}
