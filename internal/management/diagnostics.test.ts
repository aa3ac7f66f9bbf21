// What the metrics address tells a diagnosis, and whom: over HTTP, as a program or a page would ask.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { until } from '../../test/support/wait.ts';
import type { DiagnosticSource } from './diagnostic-source.ts';
import { openHealthServer } from './health-server.ts';

const diagnostics: DiagnosticSource = {
  version: '1.2.3',
  tunnelId: '11111111-2222-4333-8444-555555555555',
  connectorId: '11111111-2222-4333-8444-666666666666',
  connections: () => [
    { connIndex: 0, protocol: 'http2', ip: '192.0.2.1' },
    { connIndex: 1, protocol: 'quic', ip: '192.0.2.2' },
  ],
  icmpSources: () => ['192.0.2.9'],
  settings: { url: 'http://bob:hunter2@localhost:3000', protocol: 'auto' },
  checkEdge: () => Promise.resolve({ hardFail: false }),
};

async function open(t: TestContext, host = '127.0.0.1', sources: readonly DiagnosticSource[] = [diagnostics]) {
  const server = await openHealthServer({
    listen: { host, port: 0 },
    source: {
      readyConnections: () => 2,
      connectorId: diagnostics.connectorId,
      quickTunnelHost: () => '',
      configuration: () => '{}',
      metrics: () => Promise.resolve({ text: '', contentType: 'text/plain' }),
      diagnostics: () => sources,
    },
  });
  t.after(() => server.close());
  const send = (path: string, headers: Record<string, string> = {}): ClientRequest =>
    request({ host: '127.0.0.1', port: server.address.port, path, headers, agent: false }).end();
  const get = async (path: string, headers?: Record<string, string>) => {
    const [response] = await once(send(path, headers), 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    return { status: response.statusCode, bytes, text: bytes.toString(), headers: response.headers };
  };
  return { get, send };
}

const decode = (bytes: Buffer) => {
  const profile = Profile.decode(gunzipSync(bytes));
  const { strings } = profile.stringTable;
  return { kinds: profile.sampleType.map(({ type }) => strings[Number(type)]), samples: profile.sample, strings };
};

describe('diagnostics of a connector', () => {
  it('tell its state and settings in the words of a stock connector', async t => {
    const { get } = await open(t);
    assert.deepEqual(JSON.parse((await get('/diag/tunnel')).text), {
      tunnelID: diagnostics.tunnelId,
      connectorID: diagnostics.connectorId,
      connections: [
        { isConnected: true, edgeAddress: '192.0.2.1' },
        { isConnected: true, protocol: 1, edgeAddress: '192.0.2.2', index: 1 },
      ],
      icmp_sources: ['192.0.2.9'],
    });
    const configuration = JSON.parse((await get('/diag/configuration')).text);
    assert.equal(configuration.url, 'http://*****@localhost:3000');
    assert.equal(configuration.uid, String(process.getuid?.()));
    const { info, errors } = JSON.parse((await get('/diag/system')).text);
    assert.deepEqual(errors, {});
    assert.ok(info.memoryMaximum > info.memoryCurrent && info.memoryCurrent > 0, JSON.stringify(info));
    assert.ok(info.disk.some(({ sizeMaximum }: { sizeMaximum: number }) => sizeMaximum > 0));
    assert.deepEqual(JSON.parse((await get('/diag/prechecks')).text), { hardFail: false });
  });

  it('hold profiles in the format of pprof', async t => {
    const { get } = await open(t);
    const kept: unknown[] = [];
    const busy = setInterval(() => {
      const endMs = performance.now() + 5;
      while (performance.now() < endMs) kept.push({ text: `${kept.length}` });
    }, 6);
    t.after(() => clearInterval(busy));
    const cpu = decode((await get('/debug/pprof/profile?seconds=0.3')).bytes);
    assert.deepEqual(cpu.kinds, ['samples', 'cpu']);
    assert.ok(cpu.samples.length > 0 && cpu.strings.some(text => text.endsWith('diagnostics.test.ts')));
    const heap = decode((await get('/debug/pprof/heap?seconds=0.3')).bytes);
    assert.deepEqual(heap.kinds, ['inuse_objects', 'inuse_space']);
    assert.ok(heap.samples.some(({ value }) => Number(value[1]) > 1_000));
    const activity = decode((await get('/debug/pprof/goroutine')).bytes);
    assert.deepEqual(activity.kinds, ['goroutine']);
    assert.ok(activity.strings.includes('TCPServerWrap'));
    assert.equal((await get('/debug/pprof/cmdline')).status, 403);
    assert.equal((await get('/debug/pprof/nothing')).status, 404);
    for (const seconds of ['0', '-1', 'x', '61', '1e9'])
      assert.equal((await get(`/debug/pprof/profile?seconds=${seconds}`)).status, 400, seconds);
  });

  it('tell of each tunnel of a process, or of the one that is asked for', async t => {
    const tunnelId = '11111111-2222-4333-8444-777777777777';
    const other = { ...diagnostics, tunnelId, settings: { ...diagnostics.settings, protocol: 'quic' } };
    const { get } = await open(t, '127.0.0.1', [diagnostics, other]);
    const ask = async (path: string) => JSON.parse((await get(path)).text);
    const ids = (answer: { tunnels: { tunnelID: string }[] }) => answer.tunnels.map(({ tunnelID }) => tunnelID);
    const both = [diagnostics.tunnelId, tunnelId];
    assert.deepEqual(ids(await ask('/diag/tunnel')), both);
    assert.deepEqual(ids(await ask('/diag/prechecks')), both);
    assert.equal((await ask(`/diag/tunnel?tunnel_id=${tunnelId}`)).tunnelID, tunnelId);
    const { pid, tunnels, url } = await ask('/diag/configuration');
    assert.deepEqual([pid, url.includes('hunter2')], [String(process.pid), false]);
    assert.deepEqual(tunnels, { [diagnostics.tunnelId]: { protocol: 'auto' }, [tunnelId]: { protocol: 'quic' } });
    const unknown = await get('/diag/tunnel?tunnel_id=x');
    assert.deepEqual([unknown.status, unknown.text.includes(tunnelId)], [404, true]);
    assert.equal((await get('/debug/pprof/goroutine')).status, 200);
  });

  it('take one profile at a time, and none for an asker who left', async t => {
    const { get, send } = await open(t);
    const first = send('/debug/pprof/profile?seconds=60');
    first.once('error', () => undefined);
    const refused = async (path: string): Promise<boolean> => (await get(path)).status === 429;
    await until('the profile to run', () => refused('/debug/pprof/heap?seconds=0.01'));
    assert.equal((await get('/diag/prechecks')).status, 429);
    assert.equal((await get('/diag/tunnel')).status, 200);
    first.destroy();
    await until('the next to be let in', async () => !(await refused('/debug/pprof/heap?seconds=0.01')));
  });

  it('are for no page in a browser, whatever the address', async t => {
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const { get } = await open(t, host);
      for (const path of ['/diag/tunnel', '/diag/configuration', '/debug/pprof/profile?seconds=30']) {
        assert.equal((await get(path, { host: 'rebind.example.com' })).status, 403);
        assert.equal((await get(path, { origin: 'http://127.0.0.1:8000' })).status, 403);
        assert.equal((await get(path, { 'sec-fetch-site': 'cross-site' })).status, 403);
        assert.equal((await get(path, { 'cf-ray': 'x' })).status, 403);
      }
      assert.equal((await get('/diag/tunnel', { 'sec-fetch-site': 'none', host: 'localhost:20241' })).status, 200);
    }
  });

  it('are not there when they are turned off', async t => {
    const { get } = await open(t, '127.0.0.1', []);
    const paths = ['/diag/tunnel', '/diag/configuration', '/diag/system', '/diag/prechecks', '/debug/pprof/heap'];
    for (const path of paths) assert.equal((await get(path)).status, 404, path);
    assert.equal((await get('/ready')).status, 200);
  });
});
