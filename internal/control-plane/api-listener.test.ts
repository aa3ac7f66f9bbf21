// Who may reach the API: programs, and no web page. Its real listener, and the quick-tunnel call that needs no token.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { EdgeWorld } from '../../test/support/edge-world.ts';
import { parseOriginCert } from '../credentials/origin-cert.ts';
import { callLimits } from './control-plane.ts';

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

it('the API answers none either where TLS protects it', async t => {
  const world = await EdgeWorld.open(t, { api: { host: '0.0.0.0', port: 0 }, names: ['127.0.0.1', 'edge.example'] });
  const { port, protocol } = new URL(world.edge.apiUrl);
  assert.equal(protocol, 'https:');
  const ask = (host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const path = '/client/v4/openapi.json';
      // Like a client that does not look whom the certificate is for.
      const careless = { ca: world.edge.caPem, servername: '', checkServerIdentity: () => undefined };
      const options = { ...careless, host: '127.0.0.1', port, path, agent: false, headers: { host } };
      const call = requestTls(options, response => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.once('error', reject).end();
    });
  for (const host of ['attacker.example', `attacker.example:${port}`, 'x.edge.example']) {
    assert.equal(await ask(host), 421, host);
  }
  for (const host of ['edge.example', `EDGE.example.:${port}`, `127.0.0.1:${port}`, 'localhost'])
    assert.equal(await ask(host), 200, host);
});

it('the API lets no page read it: it never says that one may', async t => {
  const { port } = await open(t);
  for (const method of ['OPTIONS', 'GET']) {
    for (const origin of ['https://attacker.example', `http://127.0.0.1:${port}`]) {
      const headers = { origin, host: `127.0.0.1:${port}`, 'access-control-request-method': 'POST' };
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const call = request({ port, method, path: '/client/v4/openapi.json', agent: false, headers }, resolve);
        call.once('error', reject).end();
      });
      response.resume();
      const allowed = Object.keys(response.headers).filter(name => name.startsWith('access-control-'));
      assert.deepEqual(allowed, [], `${method} of ${origin}`);
      assert.equal(response.statusCode === 200, method === 'GET' && origin.endsWith(port), `${method} of ${origin}`);
    }
  }
});

it('the API serves a flood of one address in part, and others as before', async t => {
  const world = await EdgeWorld.open(t);
  const { accountId, apiToken } = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const url = new URL(`${world.edge.apiUrl}/accounts/${accountId}/cfd_tunnel`);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => agent.destroy());
  const ask = (localAddress: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${apiToken}` };
      const call = request(url, { agent, localAddress, headers }, response => {
        response.resume();
        response.once('end', () => resolve(response));
      });
      call.once('error', reject).end();
    });
  const startedMs = performance.now();
  const answers = await Promise.all(Array.from({ length: callLimits.burst + 200 }, () => ask('127.0.0.1')));
  const refilled = Math.ceil(((performance.now() - startedMs) / 1_000) * callLimits.perSecond);
  const served = answers.filter(answer => answer.statusCode === 200).length;
  assert.ok(served >= callLimits.burst && served <= callLimits.burst + refilled, `${served} were served`);
  const refused = answers.filter(answer => answer.statusCode === 429);
  assert.equal(refused.length, answers.length - served);
  assert.ok(refused.every(answer => Number(answer.headers['retry-after']) > 0));
  if (process.platform === 'linux') assert.equal((await ask('127.0.0.2')).statusCode, 200);
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
