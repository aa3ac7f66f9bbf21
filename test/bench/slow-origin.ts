// The origin of slow visitors: answers a GET with a long body as fast as it is taken, and takes uploads slowly or not at all.
// Forked by load-client.ts; sends its port.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { slowBodyBytes, slowPaths } from './slow-case.ts';
import { SlowReading } from './slow-reading.ts';

const piece = Buffer.alloc(64 * 1024, 'postern ');

function* longBody(): Generator<Buffer> {
  for (let left = slowBodyBytes; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length));
}

const reading = new SlowReading();
const server = createServer((request, response) => {
  // Whoever breaks off is replaced by nobody.
  for (const stream of [request, response]) stream.on('error', () => undefined);
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-length': slowBodyBytes });
    Readable.from(longBody(), { objectMode: false }).pipe(response);
  } else if (request.url === slowPaths.up) reading.add(request);
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
