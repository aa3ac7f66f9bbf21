// What visitors of other makes are tried on: an origin with a little of everything, behind a real edge and connector.

import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { type EdgeWorld, openWorld } from '../support/edge-world.ts';
import { listen } from '../support/origin-server.ts';
import { temporaryDirectory } from '../support/program.ts';

export const visitorName = 'app.example.test';
/** What /big answers. */
export const big = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index & 255));

const page = `<!doctype html><title>visited</title><link rel="icon" href="data:,">`;

function answer(message: IncomingMessage, response: ServerResponse): void {
  switch (message.url) {
    case '/echo':
      message.pipe(response);
      return;
    case '/big':
      response.writeHead(200, { 'content-length': big.length }).end(message.method === 'HEAD' ? undefined : big);
      return;
    case '/none':
      response.writeHead(204).end();
      return;
    case '/moved':
      response.writeHead(302, { location: '/method' }).end();
      return;
    case '/cookies':
      response.end(message.headers.cookie);
      return;
    case '/endless':
      response.write(big);
      return;
    case '/events': {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let sent = 0;
      const timer = setInterval(() => {
        sent += 1;
        response.write(`data: ${sent}\n\n`);
        if (sent === 3) response.end();
      }, 20);
      response.once('close', () => clearInterval(timer));
      return;
    }
    case '/page':
      response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': 'a=1; Path=/' }).end(page);
      return;
    default:
      if (message.headers['x-bytes'] !== undefined) response.setHeader('x-bytes', String(message.headers['x-bytes']));
      message.resume();
      // With a text Node would write the head in UTF-8, too.
      response.end(Buffer.from(message.method ?? ''));
  }
}

export interface VisitorWorld {
  readonly world: EdgeWorld;
  readonly directory: string;
  /** File of the edge's CA. */
  readonly caFile: string;
}

export async function openVisitorWorld(t: TestContext, protocol: 'http2' | 'quic'): Promise<VisitorWorld> {
  const server = createServer(answer);
  new WebSocketServer({ server }).on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const { world } = await openWorld(t, await listen(t, server), { protocol, tunnel: { haConnections: 2 } });
  const directory = await temporaryDirectory(t);
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, world.edge.caPem);
  return { world, directory, caFile };
}
