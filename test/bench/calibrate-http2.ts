// The HTTP/2 half of the calibration, forked by calibrate.ts: a node:http2 server that answers 23 bytes by the stream API,
// over plain TCP with prior knowledge. Sends its port, then for each message the CPU time spent so far.

import { performServerHandshake } from 'node:http2';
import { createServer } from 'node:net';
import { smallBody } from './requests.ts';

/** Microseconds of CPU, user and system. */
export type CpuMicroseconds = number;

const body = Buffer.from(smallBody);
const server = createServer({ noDelay: true }, socket => {
  const session = performServerHandshake(socket, { settings: { enablePush: false } });
  socket.on('error', () => undefined);
  session.on('error', () => undefined);
  session.on('stream', stream => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': body.length });
    stream.end(body);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
process.on('disconnect', () => process.exit(0));
