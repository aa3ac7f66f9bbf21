// The edge as a whole: its API's listener, its tokens, several edges on one state, and what large bodies cost.

import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { until } from '../../test/support/wait.ts';
import { createApiClient } from '../api/client.ts';
import { parseOriginCert } from '../credentials/origin-cert.ts';
import { parseToken } from '../credentials/tunnel-token.ts';

async function apiOf(world: EdgeWorld, options: { readonly caPem?: string } = {}) {
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const apiUrl = cert.apiUrl ?? assert.fail('no URL');
  return {
    account: cert.accountId,
    apiUrl,
    api: createApiClient({ apiUrl, apiToken: cert.apiToken, userAgent: 'test', ...options }),
  };
}

describe('the API of an edge', () => {
  it('is plain HTTP on loopback, and tokens name every address of the edge', async t => {
    const world = await EdgeWorld.open(t, { names: ['edge.example.test', '192.0.2.7', '2001:db8::7'] });
    const { account, apiUrl, api } = await apiOf(world);
    assert.match(apiUrl, /^http:\/\/127\.0\.0\.1:\d+\/client\/v4$/);
    assert.equal(world.edge.apiUrl, apiUrl);
    const { id } = await world.makeTunnel();
    const token = parseToken(await api.getTunnelToken({ params: { account, id } }));
    const port = world.edge.connectorPort;
    assert.deepEqual(token.edge, [`edge.example.test:${port}`, `192.0.2.7:${port}`, `[2001:db8::7]:${port}`]);
  });

  it('is HTTPS by the edge’s name when bound to more', async t => {
    const world = await EdgeWorld.open(t, { api: { host: '0.0.0.0', port: 0 }, names: ['127.0.0.1'] });
    const { account, apiUrl, api } = await apiOf(world, { caPem: world.edge.caPem });
    assert.match(apiUrl, /^https:\/\/127\.0\.0\.1:\d+\/client\/v4$/);
    assert.deepEqual(await api.listTunnels({ params: { account } }), []);
    await assert.rejects(fetch(apiUrl.replace('https:', 'http:'), { headers: { connection: 'close' } }));
  });
});

describe('two edges on one state directory', () => {
  it('push each other’s configurations and end the connections of tunnels that the other deleted', async t => {
    const first = await EdgeWorld.open(t);
    const second = await EdgeWorld.open(t, { stateDir: first.stateDir });
    const tunnel = await first.makeTunnel();
    const connector = await second.connect(tunnel, [{ service: 'http_status:200' }]);
    const ask = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = request({ port: second.httpPort, headers: { host: tunnel.host }, agent: false }, response => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        call.once('error', reject).end();
      });
    await until('the route at the other edge', async () => (await ask()) === 200);
    for (const status of [418, 419]) {
      const config = JSON.stringify({ ingress: [{ service: `http_status:${status}` }] });
      await first.edge.store.tunnels.setConfiguration(tunnel.accountTag, tunnel.id, config, Date.now());
      await until(`configuration ${status}`, async () => (await ask()) === status);
    }
    assert.equal(connector.connector.readyCount, 1);
    await first.edge.store.tunnels.remove(tunnel.accountTag, tunnel.id, { atMs: Date.now(), cascade: true });
    await until('the end of its connection', () => second.edge.registry.all().length === 0);
  });
});

/** Bytes of one body; a slow visitor leaves most of it behind for a while. */
const totalBytes = 256 << 20;
const chunk = Buffer.alloc(64 << 10, 7);
/** Edge, connector, origin and visitor are one process here, so this bounds all four together. */
const maxGrowthBytes = 128 << 20;

async function bulkWorld(t: TestContext) {
  const state = { sent: 0, received: 0 };
  const origin = await listen(
    t,
    createServer((message, response) => {
      if (message.method === 'POST') {
        // Reads nothing at first, as an origin that is busy.
        message.pause();
        state.received = 0;
        setTimeout(() => message.resume(), 1_000);
        message.on('data', (piece: Buffer) => {
          state.received += piece.length;
        });
        message.once('end', () => response.end(String(state.received)));
        return;
      }
      const send = (): void => {
        while (state.sent < totalBytes) {
          state.sent += chunk.length;
          if (!response.write(chunk)) {
            response.once('drain', send);
            return;
          }
        }
        response.end();
      };
      send();
    }),
  );
  const { world } = await openWorld(t, origin);
  return { world, state };
}

describe('256 MiB through an edge', { timeout: 240_000 }, () => {
  for (const version of ['HTTP/1.1', 'HTTP/2']) {
    it(`come down to a slow visitor over ${version} in bounded memory`, async t => {
      const { world, state } = await bulkWorld(t);
      const before = process.memoryUsage().rss;
      let got = 0;
      const bodies: NodeJS.ReadableStream[] = [];
      let ended = false;
      const attach = (body: NodeJS.ReadableStream): void => {
        bodies.push(body);
        body.on('data', (piece: Buffer) => {
          got += piece.length;
        });
        body.once('end', () => {
          ended = true;
        });
        body.pause();
      };
      if (version === 'HTTP/2') {
        const session = connectHttp2(`https://127.0.0.1:${world.httpsPort}`, {
          ca: world.edge.caPem,
          servername: 'app.example.test',
        });
        t.after(() => session.destroy());
        attach(session.request({ ':path': '/', ':authority': 'app.example.test' }));
      } else {
        const call = request({ port: world.httpPort, headers: { host: 'app.example.test' }, agent: false }, attach);
        call.end();
        t.after(() => call.destroy());
      }
      // What windows and buffers hold is sent; then everything waits for the visitor.
      let seen = -1;
      await until('the origin to stall', async () => {
        const last = seen;
        await new Promise(resolve => setTimeout(resolve, 500));
        seen = state.sent;
        return seen > 0 && seen === last;
      });
      assert.ok(state.sent < 96 << 20, `${state.sent >> 20} MiB were sent to a visitor who reads nothing`);
      assert.ok(process.memoryUsage().rss - before < maxGrowthBytes);
      for (const body of bodies) body.resume();
      await until('the end', () => ended, 120_000);
      assert.equal(got, totalBytes);
      assert.ok(
        process.memoryUsage().rss - before < maxGrowthBytes,
        `grew by ${(process.memoryUsage().rss - before) >> 20} MiB`,
      );
    });
  }

  it('go up to a slow origin in bounded memory', async t => {
    const { world } = await bulkWorld(t);
    const before = process.memoryUsage().rss;
    let peak = 0;
    const answer = await new Promise<string>((resolve, reject) => {
      const call = request({
        port: world.httpPort,
        method: 'POST',
        headers: { host: 'app.example.test' },
        agent: false,
      });
      call.once('error', reject);
      call.once('response', response => {
        let text = '';
        response.on('data', (piece: Buffer) => {
          text += piece.toString();
        });
        response.once('end', () => resolve(text));
      });
      let sent = 0;
      const send = (): void => {
        while (sent < totalBytes) {
          sent += chunk.length;
          if (!call.write(chunk)) {
            peak = Math.max(peak, process.memoryUsage.rss());
            call.once('drain', send);
            return;
          }
        }
        call.end();
      };
      send();
    });
    assert.equal(answer, String(totalBytes));
    assert.ok(peak - before < maxGrowthBytes, `grew by ${(peak - before) >> 20} MiB`);
  });
});

describe('an edge whose database is lost', () => {
  it('says so, and keeps the credential of the old one', async t => {
    const first = await EdgeWorld.open(t);
    const { stateDir } = first;
    const text = await readFile(join(stateDir, 'cert.pem'), 'utf8');
    await first.edge.stop();
    const isDatabase = (name: string): boolean => name.startsWith('edge.db');
    for (const name of (await readdir(stateDir)).filter(isDatabase)) await rm(join(stateDir, name));
    const second = await EdgeWorld.open(t, { stateDir });
    assert.ok(second.lines.some(({ level, message }) => level === 'warn' && /was edge\.db lost/.test(String(message))));
    const kept = (await readdir(stateDir)).filter(name => /^cert\.pem\.\d+\.kept$/.test(name));
    assert.equal(kept.length, 1);
    assert.equal(await readFile(join(stateDir, kept[0] ?? ''), 'utf8'), text);
    assert.notEqual(await readFile(join(stateDir, 'cert.pem'), 'utf8'), text);
  });
});
