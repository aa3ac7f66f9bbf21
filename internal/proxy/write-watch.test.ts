// --write-stream-timeout: readers that stand still are given up, slow ones and idle ones are not.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen, listenRaw } from '../../test/support/origin-server.ts';
import { httpService, proxyTo } from '../../test/support/proxied.ts';
import { until, within } from '../../test/support/wait.ts';

const writeTimeoutMs = 150;

describe('the write time-out of streams', () => {
  it('resets a stream whose reader stands still, in the middle and at the end', async t => {
    const port = await listen(
      t,
      createServer((message, response) => {
        if (message.url === '/end') response.end(Buffer.alloc(8_000));
        else {
          const pump = (): void => {
            while (!response.destroyed && response.write(Buffer.alloc(16_000)));
          };
          response.on('drain', pump);
          pump();
        }
      }),
    );
    const test = await proxyTo(httpService(port), {}, { writeTimeoutMs });
    t.after(() => test.close());
    for (const path of ['/endless', '/end']) {
      // Takes a kilobyte, so that the rest waits at the connector.
      const incoming = test.request({ path }, 1_000);
      assert.equal((await within('a response', incoming.response)).status, 200);
      await until(`${path} to be given up`, () => incoming.body.destroyed);
      assert.ok(!incoming.edge.readableEnded);
    }
    assert.equal(test.lines.filter(line => String(line.message).startsWith('Stream reset')).length, 2);
  });

  it('leaves slow readers and idle streams alone', async t => {
    const port = await listen(
      t,
      createServer((message, response) => {
        if (message.url === '/slow') response.end(Buffer.alloc(200_000, 'x'));
        else {
          response.write('first');
          message.once('close', () => response.destroy());
        }
      }),
    );
    const test = await proxyTo(httpService(port), {}, { writeTimeoutMs });
    t.after(() => test.close());
    const idle = test.request({ path: '/idle' });
    const slow = test.request({ path: '/slow' }, 16_000);
    await slow.response;
    let bytes = 0;
    for await (const chunk of slow.edge) {
      bytes += (chunk as Buffer).length;
      // Longer altogether than the time-out, each pause shorter.
      await sleep(30);
    }
    assert.equal(bytes, 200_000);
    assert.ok(!idle.body.destroyed);
    idle.vanish();
  });

  it('gives up a private TCP destination that takes nothing', async t => {
    let accepted: Socket | undefined;
    const port = await listenRaw(t, socket => {
      accepted = socket.pause();
    });
    const test = await proxyTo(httpService(1), {}, { writeTimeoutMs });
    t.after(() => test.close());
    const incoming = test.request({ kind: 'tcp', host: `127.0.0.1:${port}`, bodyLength: -1 });
    await within('the connection', incoming.response);
    const pump = (): void => {
      while (!incoming.edge.destroyed && incoming.edge.write(Buffer.alloc(64_000)));
    };
    incoming.edge.on('drain', pump);
    pump();
    await until('the end of the stream', () => incoming.body.destroyed);
    accepted?.destroy();
  });
});
