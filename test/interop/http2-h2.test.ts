// Our connector under an HTTP/2 edge of another make, Python's h2: what such an edge may send and ours never does.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { fixedProtocol } from '../../internal/connector/protocol/protocol-policy.ts';
import { openTunnel } from '../../internal/connector/tunnel.ts';
import { parseRemoteConfig } from '../../internal/schema/remote-config.ts';
import { createLogger } from '../../internal/telemetry/logger.ts';
import { dialTransport } from '../../internal/transport/open/dial.ts';
import { decodeResponseHeaders } from '../../internal/wire/stream/response-headers.ts';
import { listen } from '../support/origin-server.ts';
import { createTestCa } from '../support/test-ca.ts';
import { until, within } from '../support/wait.ts';
import { H2Edge, setting } from './h2-edge.ts';

const authority = createTestCa();
/** RFC 9113 §7. */
const codes = { noError: 0, protocolError: 1, cancel: 8, calm: 11 } as const;

interface World {
  readonly edge: H2Edge;
  readonly announced: Readonly<Record<string, number>>;
  /** Raw heads that the origin saw, and answers it holds back. */
  readonly seen: (readonly string[])[];
  readonly held: (() => void)[];
  readonly lines: string[];
}

async function open(t: TestContext, settings: Readonly<Record<number, number>> = {}): Promise<World> {
  const seen: (readonly string[])[] = [];
  const held: (() => void)[] = [];
  const lines: string[] = [];
  const origin = createServer({ maxHeaderSize: 1 << 20 }, (message, response) => {
    seen.push([message.url ?? '', ...message.rawHeaders]);
    const size = Number(/^\/head\/(\d+)$/.exec(message.url ?? '')?.[1] ?? 0);
    if (size > 0) response.setHeader('X-Large', 'v'.repeat(size));
    if (message.url === '/held') held.push(() => response.end('whole'));
    else response.end('ok');
  });
  const port = await listen(t, origin);
  const ca = await authority;
  const edge = await H2Edge.open(t, ca, settings);
  const tunnel = await openTunnel({
    accountTag: 'account',
    tunnelId: '11111111-2222-4333-8444-555555555555',
    tunnelSecret: Buffer.from('secret'),
    edge: {
      addresses: [{ host: '127.0.0.1', port: edge.port }],
      region: undefined,
      ipVersion: 'auto',
      bindAddress: undefined,
      ca: [ca.cert],
      caPin: undefined,
      rootsFile: '/nonexistent/roots.pem',
    },
    ingress: parseRemoteConfig({ ingress: [{ service: `http://127.0.0.1:${port}` }] }),
    shownFlags: {},
    policy: fixedProtocol('http2'),
    haConnections: 1,
    retries: 5,
    gracePeriodMs: 1_000,
    rpcTimeoutMs: 5_000,
    postQuantum: false,
    features: [],
    tags: {},
    maxActiveFlows: undefined,
    privateNetwork: { allowedDestinations: [], resolvers: [], echo: undefined },
    metrics: undefined,
    quickTunnelHost: '',
    version: '0.0.0',
    dial: dialTransport,
    logger: createLogger({ level: 'debug', format: 'json', destination: { write: line => void lines.push(line) } }),
    random: () => 0.001,
  });
  const end = tunnel.run().catch(() => undefined);
  t.after(async () => {
    tunnel.abort();
    await within('the connector to end', end);
  });
  const announced = await edge.register();
  await until('the connection to be registered', () => tunnel.connector.readyCount === 1);
  return { edge, announced, seen, held, lines };
}

/** The connection serves on. */
async function assertServes({ edge }: World): Promise<void> {
  const stream = await edge.get('/after');
  assert.equal((await edge.answer(stream)).status, 200);
  assert.equal((await edge.body(stream)).toString(), 'ok');
}

/** What large fields hold: text that compresses little. */
function tokenOf(bytes: number): string {
  return randomBytes((bytes * 3) / 4).toString('base64');
}

describe('the connector under an HTTP/2 edge of another make', () => {
  it('joins cookies that come one by one', async t => {
    const world = await open(t);
    await world.edge.answer(
      await world.edge.get('/', [
        ['cookie', 'a=1'],
        ['accept', '*/*'],
        ['cookie', 'b=2'],
        ['cookie', 'c=3'],
      ]),
    );
    const raw = world.seen[0] ?? [];
    assert.deepEqual(
      raw.filter((_, index) => raw[index - 1] === 'Cookie'),
      ['a=1; b=2; c=3'],
    );
    assert.ok(raw.includes('Accept'));
  });

  it('announces the heads it can take, takes those, and refuses larger ones alone', async t => {
    const world = await open(t);
    const { edge, announced, seen } = world;
    assert.equal(announced[setting.maxHeaderListSize], 65_536);
    const largest = await edge.get('/largest', [['x-large', tokenOf(64_000)]]);
    assert.equal((await edge.answer(largest)).status, 200);
    assert.equal(seen[0]?.find(text => text.length > 1_000)?.length, 64_000);
    const running = await edge.get('/held');
    await until('a request that runs', () => world.held.length === 1);
    for (let round = 0; round < 4; round += 1) {
      const fields = [1, 2, 3].map(index => [`x-${index}`, tokenOf(30_000)] as const);
      const refused = await edge.get('/too-large', fields);
      assert.equal((await within('a refusal', edge.peer.next('reset', refused))).code, codes.calm);
    }
    world.held[0]?.();
    assert.equal((await edge.answer(running)).status, 200);
    await assertServes(world);
    assert.ok(seen.every(([path]) => path !== '/too-large'));
  });

  it('passes on large heads of answers to an edge that takes them', async t => {
    const world = await open(t, { [setting.maxHeaderListSize]: 1 << 21 });
    const stream = await world.edge.get('/head/400000');
    const { status, headers } = await world.edge.answer(stream);
    assert.equal(status, 200);
    const fields = decodeResponseHeaders(headers['cf-cloudflared-response-headers'] ?? '');
    assert.equal(fields[fields.indexOf('X-Large') + 1]?.length, 400_000);
    await assertServes(world);
  });

  it('refuses answers whose heads the edge does not take, and says so in the log', async t => {
    const world = await open(t, { [setting.maxHeaderListSize]: 16_384 });
    const { status, headers } = await world.edge.answer(await world.edge.get('/head/20000'));
    assert.deepEqual([status, headers['cf-cloudflared-response-meta']], [502, '{"src":"cloudflared"}']);
    assert.ok(world.lines.some(line => /need \d+ bytes over HTTP\/2; the edge takes 16384/.test(line)));
    await assertServes(world);
  });

  it('answers a second control stream with a status', async t => {
    const world = await open(t);
    const stream = await world.edge.get('/', [['cf-cloudflared-proxy-connection-upgrade', 'control-stream']]);
    assert.equal((await world.edge.answer(stream)).status, 400);
    await assertServes(world);
  });

  it('serves on after resets in every state', async t => {
    const world = await open(t);
    for (let round = 0; round < 100; round += 1) {
      const stream = await world.edge.get(round % 2 === 0 ? '/held' : '/quick');
      world.edge.peer.tell({ op: 'reset', stream, code: round % 3 === 0 ? codes.noError : codes.cancel });
    }
    await assertServes(world);
  });

  it('heeds odd settings: no window until later, frames of any size, no table of headers', async t => {
    const world = await open(t, { [setting.headerTableSize]: 0, [setting.maxFrameSize]: 16_777_215 });
    world.edge.peer.tell({ op: 'settings', values: { [setting.initialWindowSize]: 0 } });
    const stream = await world.edge.get('/windowless');
    assert.equal((await world.edge.answer(stream)).status, 200);
    world.edge.peer.tell({ op: 'settings', values: { [setting.initialWindowSize]: 1 } });
    assert.equal((await within('the first byte', world.edge.peer.next('data', stream))).data, '6f');
    world.edge.peer.tell({ op: 'settings', values: { [setting.initialWindowSize]: 65_535 } });
    assert.equal((await world.edge.body(stream)).toString(), 'k');
    await assertServes(world);
  });

  it('finishes what runs when the edge goes away, and dials again', async t => {
    const world = await open(t);
    const running = await world.edge.get('/held');
    await until('a request that runs', () => world.held.length === 1);
    // As RFC 9113 §6.8 has it: the last stream that the connector opened, which never opens one.
    world.edge.peer.tell({ op: 'goaway', last: 0 });
    await world.edge.register();
    world.held[0]?.();
    assert.equal((await world.edge.answer(running)).status, 200);
    await world.edge.peer.next('end', running);
  });

  // The rest records limits of nghttp2, under which Node gives a program no say: a filter of frames in front of it would
  // take every byte through JavaScript.

  it('loses the connection, and dials again, when GOAWAY names a stream of the edge itself', async t => {
    const world = await open(t);
    await world.edge.get('/held');
    await until('a request that runs', () => world.held.length === 1);
    world.edge.peer.tell({ op: 'goaway', last: 7 });
    assert.equal((await within('GOAWAY', world.edge.peer.next('goaway'))).code, codes.protocolError);
    await world.edge.register();
    await assertServes(world);
  });

  it('resets streams whose head breaks HTTP/2 itself', async t => {
    const world = await open(t);
    const gzip = await world.edge.get('/', [['te', 'gzip']]);
    const nameless = await world.edge.get('/', [], '');
    for (const stream of [gzip, nameless])
      assert.equal((await within('a reset', world.edge.peer.next('reset', stream))).code, codes.protocolError);
    await assertServes(world);
  });
});
