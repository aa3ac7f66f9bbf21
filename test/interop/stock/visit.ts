// Visitors of a tunnel, over the edge's HTTP listener: plain requests, and what every public host name must carry.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { WebSocket } from 'ws';
import { within } from '../../support/wait.ts';
import { big } from '../visited-origin.ts';
import type { Lab } from './lab.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own. */
export function visit(lab: Lab, host: string, path: string, method = 'GET', body?: Buffer): Promise<Answer> {
  const answered = new Promise<Answer>((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: lab.ports.http, method, path, headers: { host }, agent: false },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
        response.once('end', () => {
          const { headers, statusCode: status = 0 } = response;
          resolve({ status, headers, body: Buffer.concat(chunks) });
        });
      },
    );
    sent.once('error', reject).end(body);
  });
  return within(`the answer to ${method} ${path}`, answered);
}

/** Asks the visited origin behind `host` for a little of everything: bodies both ways, events, a WebSocket. */
export async function checkVisits(lab: Lab, host: string): Promise<void> {
  const down = await visit(lab, host, '/big');
  assert.equal(down.status, 200, down.body.toString());
  assert.ok(down.body.equals(big), 'a body of 1 MiB came otherwise than it was sent');
  const up = await visit(lab, host, '/echo', 'POST', big);
  assert.ok(up.body.equals(big), 'a body of 1 MiB came back otherwise than it was sent');
  assert.equal((await visit(lab, host, '/big', 'HEAD')).status, 200);
  assert.equal((await visit(lab, host, '/none')).status, 204);
  assert.equal((await visit(lab, host, '/method', 'PROPFIND')).body.toString(), 'PROPFIND');
  assert.equal((await visit(lab, host, '/events')).body.toString(), 'data: 1\n\ndata: 2\n\ndata: 3\n\n');
  const many = await Promise.all(Array.from({ length: 50 }, () => visit(lab, host, '/method')));
  assert.ok(many.every(({ status }) => status === 200));
  await checkWebSocket(lab, host);
}

async function checkWebSocket(lab: Lab, host: string): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${lab.ports.http}/`, { headers: { host } });
  try {
    await within('a WebSocket to open', once(socket, 'open'));
    for (const text of ['one', 'x'.repeat(100_000)]) {
      const echoed = once(socket, 'message');
      socket.send(text);
      const [data] = (await within('a WebSocket message', echoed)) as [Buffer];
      assert.equal(data.toString(), text);
    }
    const closed = once(socket, 'close');
    socket.close(1000);
    assert.equal((await within('a WebSocket to close', closed))[0], 1000);
  } finally {
    socket.terminate();
  }
}
