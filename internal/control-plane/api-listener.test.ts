// Who may reach the API: programs, and no web page. Its real listener, and the quick-tunnel call that needs no token.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { it, type TestContext } from 'node:test';
import { EdgeWorld } from '../../test/support/edge-world.ts';

async function open(t: TestContext) {
  const world = await EdgeWorld.open(t, { quickTunnels: true, names: ['127.0.0.1', 'edge.example'] });
  const { port } = new URL(world.edge.apiUrl);
  const ask = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const call = request({ port, method: 'POST', path: '/tunnel', agent: false }, response => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.setHeader('Content-Type', 'application/json');
      for (const [name, value] of Object.entries(headers)) call.setHeader(name, value);
      call.once('error', reject).end('{}');
    });
  return { port, ask };
}

it('the API answers no name that an attacker can point at it', async t => {
  const { port, ask } = await open(t);
  for (const host of ['attacker.example', `attacker.example:${port}`, 'localhost.attacker.example', ''])
    assert.equal(await ask({ host }), 421, host);
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, '[::1]:80', 'LOCALHOST', `localhost.:${port}`, '127.0.0.1:'])
    assert.equal(await ask({ host }), 200, host);
});

it('the API answers no page of another site', async t => {
  const { port, ask } = await open(t);
  const foreign: Record<string, string>[] = [
    { origin: 'https://attacker.example' },
    { origin: 'null' },
    { origin: 'http://localhost:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    // Another site's form; a link that is followed is a GET.
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  ];
  for (const headers of foreign) assert.equal(await ask(headers), 403, JSON.stringify(headers));
  const own = { host: `localhost:${port}`, origin: `http://localhost:${port}`, 'sec-fetch-site': 'same-origin' };
  assert.equal(await ask(own), 200);
  assert.equal(await ask({ 'sec-fetch-site': 'none' }), 200);
});

it('the API answers a client that ended its half of the connection', async t => {
  const { port } = await open(t);
  const socket = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.end(
    'POST /tunnel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
  );
  const answer = Buffer.concat(await socket.toArray()).toString();
  assert.match(answer, /^HTTP\/1\.1 200 .*"hostname"/s);
});
