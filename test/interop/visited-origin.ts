// An origin with a little of everything that visitors do: bodies both ways, redirects, cookies, events, WebSockets.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import type { Closing } from '../support/closing.ts';
import { listen } from '../support/origin-server.ts';

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

/** Listens on loopback until the caller closes; WebSocket messages come back as they are. Gives the port. */
export async function openVisitedOrigin(t: Closing): Promise<number> {
  const server = createServer(answer);
  new WebSocketServer({ server }).on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return listen(t, server);
}
