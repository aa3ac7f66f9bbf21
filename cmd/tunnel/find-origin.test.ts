// What `postern tunnel` alone publishes, with real listeners; the ports are those that the machine gives.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '../../test/bench/free-port.ts';
import { listen } from '../../test/support/origin-server.ts';
import { findOrigin } from './find-origin.ts';

const service = (t: TestContext, headers: Record<string, string> = {}) =>
  listen(
    t,
    createServer((_, response) => void response.writeHead(404, headers).end()),
  );

describe('the origin of a tunnel that nobody named', () => {
  it('is what listens at the usual port, whatever it answers', async t => {
    const port = await service(t);
    assert.equal(await findOrigin({ usual: port, development: [] }), `http://localhost:${port}`);
    const other = await listen(
      t,
      createTcpServer(socket => socket.end('SSH-2.0-x\r\n')),
    );
    assert.equal(await findOrigin({ usual: other, development: [] }), `http://localhost:${other}`);
  });

  it('is none when nothing listens there: what listens elsewhere is named', async t => {
    const [vite, django] = [await service(t), await service(t)];
    const closed = await freePort();
    await assert.rejects(findOrigin({ usual: closed, development: [vite, await freePort(), django] }), {
      code: 'usage.invalid',
      message:
        `No service listens at localhost:${closed}. Did you mean --url http://localhost:${vite} ` +
        `or --url http://localhost:${django}?`,
    });
    await assert.rejects(findOrigin({ usual: closed, development: [] }), { message: /Start your service, or name it/ });
  });

  it('is never an edge', async t => {
    const edge = await service(t, { 'Postern-Request-Id': '8269e92060593c82' });
    await assert.rejects(findOrigin({ usual: edge, development: [edge] }), { message: /Start your service/ });
  });
});
