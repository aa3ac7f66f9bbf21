import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type FakeConnection, FakeEdge } from '../../test/support/fake-edge.ts';
import { streamsOnly } from '../../test/support/streams-only.ts';
import { settle, TestClock } from '../../test/support/test-clock.ts';
import { createEdgeAddress } from '../discovery/edge-address.ts';
import { EdgeDirectory } from '../discovery/edge-directory.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { Connector, type ConnectorOptions } from './connector.ts';
import { AutoProtocol } from './protocol/auto-protocol.ts';
import { fixedProtocol } from './protocol/protocol-policy.ts';

interface World {
  readonly clock: TestClock;
  readonly connector: Connector;
  readonly edge: FakeEdge;
  readonly machine: { addresses: string[] };
  /** Settles with the error that ended the connector, or undefined. */
  readonly end: Promise<unknown>;
}

const addresses = (region: number, count: number) =>
  Array.from({ length: count }, (_, index) => createEdgeAddress(`198.51.${region}.${index + 1}`, 7844));

function start(
  t: TestContext,
  options: Omit<Partial<ConnectorOptions>, 'clock'> & {
    clock?: TestClock;
    addressCount?: number;
    share?: boolean;
    edge?: FakeEdge;
  } = {},
): World {
  const clock = options.clock ?? new TestClock();
  const edge = options.edge ?? new FakeEdge();
  const machine = { addresses: ['192.0.2.10'] };
  const { addressCount = 4 } = options;
  const random = options.random ?? (() => 0.5);
  const directory = new EdgeDirectory({
    find: () =>
      Promise.resolve([addresses(1, Math.ceil(addressCount / 2)), addresses(2, Math.floor(addressCount / 2))]),
    version: 'auto',
    share: options.share ?? false,
    random,
    nowMs: () => clock.monotonicMs(),
    logger: silentLogger(),
  });
  const connector = new Connector({
    identity: {
      accountTag: 'account',
      tunnelId: '11111111-2222-4333-8444-555555555555',
      tunnelSecret: Buffer.from('secret'),
      connectorId: '99999999-2222-4333-8444-555555555555',
      version: '0.0.0',
      platform: 'linux_amd64',
    },
    directory,
    trust: () => Promise.resolve({ ca: undefined, caPin: undefined }),
    dial: edge.dial,
    openRegistration: edge.openRegistration,
    attach: () => ({
      features: ['allow_remote_config'],
      handler: streamsOnly(incoming => incoming.reset()),
    }),
    localConfiguration: () => Buffer.from('{"ingress":[]}'),
    policy: fixedProtocol('http2'),
    logger: silentLogger(),
    clock,
    maxRetries: 5,
    gracePeriodMs: 30_000,
    bindAddress: undefined,
    postQuantum: false,
    haConnections: 4,
    addresses: () => machine.addresses,
    ...options,
    random,
  });
  const end = connector.run().then(
    () => undefined,
    (error: unknown) => error,
  );
  t.after(async () => {
    connector.abort();
    await end;
    directory.close();
  });
  return { clock, connector, edge, machine, end };
}

const indexes = (world: World): number[] => world.connector.connections.map(info => info.connIndex);
const codeOf = (connection: FakeConnection | undefined): string | undefined => connection?.aborted?.code;
const refuse = (code: 'credentials.refused' | 'registration.duplicate' | 'registration.refused') => () =>
  Promise.reject(new PosternError(code, code));

describe('connector: start', () => {
  it('registers connection 0 first, then the others a second apart', async t => {
    const world = start(t);
    await settle();
    assert.deepEqual(indexes(world), [0]);
    await world.clock.advance(999);
    assert.deepEqual(indexes(world), [0]);
    await world.clock.advance(1);
    assert.deepEqual(indexes(world), [0, 1]);
    await world.clock.advance(2_000);
    assert.deepEqual(indexes(world), [0, 1, 2, 3]);
    assert.equal(new Set(world.edge.dials.map(options => options.host)).size, 4);
    assert.equal(world.edge.dials[0]?.serverName, 'h2.cftunnel.com');
  });

  it('says who it is', async t => {
    const { edge } = start(t);
    await settle();
    const [request] = edge.requests;
    assert.equal(request?.accountTag, 'account');
    assert.equal(request?.connIndex, 0);
    assert.equal(request?.numPreviousAttempts, 0);
    assert.equal(Buffer.from(request?.originLocalIp ?? []).toString('hex'), '00000000000000000000ffffc000020a');
  });

  it('pushes the local configuration once, on connection 0, unless the edge manages the tunnel', async t => {
    const local = start(t);
    await local.clock.advance(5_000);
    assert.deepEqual(local.edge.pushed, ['{"ingress":[]}']);
    const edge = new FakeEdge();
    edge.remotelyManaged = true;
    const remote = start(t, { edge });
    await remote.clock.advance(5_000);
    assert.deepEqual(remote.edge.pushed, []);
  });

  it('is content with fewer connections when there are fewer addresses', async t => {
    const world = start(t, { addressCount: 2 });
    await world.clock.advance(60_000);
    assert.deepEqual(indexes(world), [0, 1]);
  });

  it('serves all connections from a single static address', async t => {
    const world = start(t, { addressCount: 1, share: true });
    await world.clock.advance(3_000);
    assert.deepEqual(indexes(world), [0, 1, 2, 3]);
  });

  it('counts ready connections', async t => {
    const world = start(t);
    const counts: number[] = [];
    world.connector.on('ready', count => counts.push(count));
    await world.clock.advance(3_000);
    world.edge.connections[2]?.lose();
    await world.clock.advance(2_000);
    assert.deepEqual(counts, [1, 2, 3, 4, 3, 4]);
  });
});

describe('connector: trying again', () => {
  it('never gives up on network errors, waits longer and longer, and tries other addresses', async t => {
    const edge = new FakeEdge();
    edge.onDial = () => Promise.reject(new PosternError('dial.failed', 'refused'));
    const world = start(t, { edge });
    // Half of each bound: 1, 2, 4, 8, then 16 s each.
    for (const [at, dials] of [
      [0, 1],
      [1_000, 2],
      [2_000, 3],
      [4_000, 4],
      [8_000, 5],
      [16_000, 6],
      [16_000, 7],
    ] as const) {
      await world.clock.advance(at);
      assert.equal(edge.dials.length, dials);
    }
    assert.notEqual(edge.dials[0]?.host, edge.dials[1]?.host);
    edge.onDial = undefined;
    await world.clock.advance(16_000);
    assert.deepEqual(indexes(world), [0]);
    assert.equal(edge.requests[0]?.numPreviousAttempts, 5);
  });

  it('keeps looking for the edge when discovery fails', async t => {
    const clock = new TestClock();
    let finds = 0;
    const directory = new EdgeDirectory({
      find: () => {
        finds += 1;
        return finds < 3
          ? Promise.reject(new PosternError('discovery.failed', 'no DNS'))
          : Promise.resolve([addresses(1, 1), []]);
      },
      version: 'auto',
      share: true,
      random: () => 0.5,
      nowMs: () => clock.monotonicMs(),
      logger: silentLogger(),
    });
    t.after(() => directory.close());
    const world = start(t, { directory, clock });
    await settle();
    await clock.advance(1_000);
    assert.deepEqual(indexes(world), []);
    await clock.advance(2_000);
    assert.deepEqual(indexes(world), [0]);
  });

  it('goes to another address when the edge calls it a duplicate', async t => {
    const edge = new FakeEdge();
    edge.onRegister = refuse('registration.duplicate');
    const world = start(t, { edge });
    await settle();
    edge.onRegister = undefined;
    await world.clock.advance(1_000);
    assert.equal(edge.dials.length, 2);
    assert.notEqual(edge.dials[0]?.host, edge.dials[1]?.host);
    assert.ok(edge.connections[0]?.aborted);
  });

  it('stays with its address when the edge refuses for another reason', async t => {
    const edge = new FakeEdge();
    edge.onRegister = refuse('registration.refused');
    const world = start(t, { edge });
    await world.clock.advance(1_000);
    assert.equal(edge.dials.length, 2);
    assert.equal(edge.dials[0]?.host, edge.dials[1]?.host);
  });

  it('replaces a lost connection, and flapping keeps the back-off', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    for (const wait of [1_000, 2_000, 4_000]) {
      world.edge.connections.at(-1)?.lose();
      await settle();
      assert.deepEqual(indexes(world), []);
      await world.clock.advance(wait - 1);
      assert.deepEqual(indexes(world), []);
      await world.clock.advance(1);
      assert.deepEqual(indexes(world), [0]);
    }
    await world.clock.advance(10_000);
    world.edge.connections.at(-1)?.lose();
    await world.clock.advance(1_000);
    assert.deepEqual(indexes(world), [0]);
  });

  it('brings all connections back as soon as one has reached the edge again', async t => {
    let state = 7;
    // Park-Miller: waits that differ, the same ones on every run.
    const random = (): number => {
      state = (state * 48_271) % 0x7fffffff;
      return state / 0x7fffffff;
    };
    const world = start(t, { random });
    await world.clock.advance(20_000);
    world.edge.onDial = () => Promise.reject(new PosternError('dial.failed', 'edge restarts'));
    for (const connection of world.edge.live) connection.lose();
    await world.clock.advance(60_000);
    assert.deepEqual(indexes(world), []);
    world.edge.onDial = undefined;
    const readyAtMs: number[] = [];
    world.connector.on('connected', () => readyAtMs.push(world.clock.monotonicMs()));
    await world.clock.advance(32_000);
    assert.equal(readyAtMs.length, 4);
    assert.ok((readyAtMs[3] ?? 0) - (readyAtMs[0] ?? 0) <= 500, `back at ${readyAtMs.join(', ')}`);
  });

  it('ends with credentials that were never accepted, after a minute of tries', async t => {
    const edge = new FakeEdge();
    edge.onRegister = refuse('credentials.refused');
    const world = start(t, { edge });
    await world.clock.advance(59_000);
    const [endedEarly] = await Promise.all([Promise.race([world.end, settle()]), settle()]);
    assert.equal(endedEarly, undefined);
    assert.ok(edge.dials.length > 3);
    await world.clock.advance(60_000);
    const error = await world.end;
    assert.ok(isPosternError(error, 'credentials.refused'));
    assert.equal(error.kind.exit, 2);
  });

  it('waits for a fresh tunnel to be known to the edge', async t => {
    const edge = new FakeEdge();
    edge.onRegister = refuse('credentials.refused');
    const world = start(t, { edge });
    await world.clock.advance(50_000);
    edge.onRegister = undefined;
    await world.clock.advance(60_000);
    assert.deepEqual(indexes(world), [0, 1, 2, 3]);
  });

  it('keeps trying, slowly, when credentials were good before', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    world.edge.onRegister = refuse('credentials.refused');
    world.edge.connections[0]?.lose();
    await world.clock.advance(1_000);
    assert.equal(world.edge.dials.length, 2);
    await world.clock.advance(59_999);
    assert.equal(world.edge.dials.length, 2);
    await world.clock.advance(60_000 * 10);
    assert.equal(world.edge.dials.length, 9, 'one every 90 s');
    world.edge.onRegister = undefined;
    await world.clock.advance(120_000);
    assert.deepEqual(indexes(world), [0]);
  });

  it('ends on a configuration that only the user can mend', async t => {
    const world = start(t, { trust: () => Promise.reject(new PosternError('config.invalid', 'no such file')) });
    const error = await world.end;
    assert.ok(isPosternError(error, 'config.invalid'));
    assert.equal(error.kind.exit, 3);
  });

  it('gives up on an edge that opens no control stream', async t => {
    const edge = new FakeEdge();
    edge.onDial = options => Object.assign(edge.connect('http2', options), { control: new Promise(() => undefined) });
    const world = start(t, { edge });
    await world.clock.advance(14_999);
    assert.equal(codeOf(edge.connections[0]), undefined);
    await world.clock.advance(1);
    assert.equal(codeOf(edge.connections[0]), 'dial.timeout');
  });
});

describe('connector: the machine changes', () => {
  it('dials at once instead of waiting on', async t => {
    const edge = new FakeEdge();
    edge.onDial = () => Promise.reject(new PosternError('dial.failed', 'no network'));
    const world = start(t, { edge });
    await world.clock.advance(20_000);
    const before = edge.dials.length;
    edge.onDial = undefined;
    world.clock.jumpWall(3_600_000);
    await world.clock.advance(1_200);
    assert.equal(edge.dials.length, before + 1);
    assert.deepEqual(indexes(world), [0]);
  });

  it('gives up a dial that hangs in the old network', async t => {
    const edge = new FakeEdge();
    edge.onDial = options =>
      new Promise((_, reject) => {
        options.signal?.addEventListener('abort', () => reject(new PosternError('connection.closed', 'aborted')));
      });
    const world = start(t, { edge });
    await settle();
    edge.onDial = undefined;
    world.machine.addresses = ['198.51.100.77'];
    await world.clock.advance(1_300);
    assert.deepEqual(indexes(world), [0]);
  });

  it('drops connections from an address that is gone, and redials within the second', async t => {
    const world = start(t);
    await world.clock.advance(3_000);
    const old = world.edge.live;
    world.machine.addresses = ['198.51.100.77'];
    world.edge.localAddress = '198.51.100.77';
    await world.clock.advance(1_600);
    assert.ok(old.every(connection => connection.aborted?.code === 'connection.lost'));
    assert.deepEqual(indexes(world), [0, 1, 2, 3]);
    assert.ok(world.edge.live.every(connection => connection.localAddress === '198.51.100.77'));
  });

  it('after a sleep keeps the connections that answer and replaces those that do not', async t => {
    const world = start(t);
    await world.clock.advance(3_000);
    const [first, second] = world.edge.live;
    assert.ok(first !== undefined && second !== undefined);
    first.pong = () => Promise.reject(new PosternError('connection.lost', 'no pong'));
    world.clock.jumpWall(60_000);
    await world.clock.advance(1_600);
    assert.ok(first.aborted);
    assert.equal(second.aborted, undefined);
    assert.deepEqual(indexes(world), [0, 1, 2, 3]);
  });
});

describe('connector: the edge drains', () => {
  it('replaces the connection at another address at once and lets running requests finish', async t => {
    const world = start(t, { haConnections: 1 });
    await world.clock.advance(60_000);
    const [old] = world.edge.connections;
    assert.ok(old !== undefined);
    old.openStreams = 1;
    old.goAway();
    await world.clock.advance(300);
    assert.deepEqual(indexes(world), [0]);
    assert.notEqual(world.edge.connections[1]?.host, old.host);
    assert.equal(old.aborted, undefined);
    assert.equal(old.drained, true);
    old.finishStreams();
    await settle();
  });

  it('does not hurry when the edge sends connections away as soon as they register', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    for (let round = 0; round < 4; round += 1) {
      world.edge.connections.at(-1)?.goAway();
      await world.clock.advance(100 + 500);
    }
    assert.ok(world.edge.dials.length <= 2, `${world.edge.dials.length} dials in 2.4 s`);
  });

  it('calls it lost when the connection breaks with its control stream', async t => {
    const world = start(t, { haConnections: 1 });
    const reasons: unknown[] = [];
    world.connector.on('disconnected', (_info, error) => reasons.push(error));
    await settle();
    const [connection] = world.edge.connections;
    connection?.goAway();
    connection?.lose();
    await world.clock.advance(100);
    assert.ok(isPosternError(reasons[0], 'connection.lost'));
  });
});

describe('connector: graceful stop', () => {
  it('unregisters every connection and ends as soon as they are idle', async t => {
    const world = start(t);
    await world.clock.advance(3_000);
    const stopped = world.connector.stop();
    await settle();
    assert.equal(world.connector.readyCount, 0);
    await world.clock.advance(300);
    await stopped;
    assert.equal(await world.end, undefined);
    assert.equal(world.edge.unregistered, 4);
    assert.ok(world.edge.connections.every(connection => connection.drained));
    assert.equal(world.clock.pending, 0);
  });

  it('waits for running requests, also new ones, up to the grace period', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    const [connection] = world.edge.connections;
    assert.ok(connection !== undefined);
    connection.openStreams = 1;
    void world.connector.stop();
    await world.clock.advance(10_000);
    connection.openStreams = 0;
    await world.clock.advance(100);
    connection.openStreams = 1;
    await world.clock.advance(10_000);
    assert.equal(connection.aborted, undefined);
    connection.openStreams = 0;
    await world.clock.advance(300);
    assert.equal(await world.end, undefined);
  });

  it('cuts what still runs when the grace period is over', async t => {
    const world = start(t, { haConnections: 1, gracePeriodMs: 2_000 });
    await settle();
    const [connection] = world.edge.connections;
    assert.ok(connection !== undefined);
    connection.openStreams = 1;
    connection.drain = () => Promise.resolve();
    void world.connector.stop();
    await world.clock.advance(1_999);
    assert.equal(codeOf(connection), undefined);
    await world.clock.advance(1);
    assert.equal(await world.end, undefined);
    assert.equal(codeOf(connection), 'connection.closed');
  });

  it('does not wait with a grace period of zero', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    await world.connector.stop(0);
    assert.equal(world.edge.unregistered, 0);
    assert.equal(await world.end, undefined);
  });

  it('stops at once while dialling or waiting', async t => {
    const edge = new FakeEdge();
    edge.onDial = () => Promise.reject(new PosternError('dial.failed', 'no'));
    const waiting = start(t, { edge });
    await settle();
    await waiting.connector.stop();
    assert.equal(await waiting.end, undefined);
    const hanging = new FakeEdge();
    hanging.onDial = options =>
      new Promise((_, reject) => {
        options.signal?.addEventListener('abort', () => reject(new PosternError('connection.closed', 'aborted')));
      });
    const dialling = start(t, { edge: hanging });
    await settle();
    await dialling.connector.stop();
    assert.equal(await dialling.end, undefined);
  });

  it('a second, hard stop ends a drain', async t => {
    const world = start(t, { haConnections: 1 });
    await settle();
    const [connection] = world.edge.connections;
    assert.ok(connection !== undefined);
    connection.openStreams = 1;
    void world.connector.stop();
    await world.clock.advance(1_000);
    world.connector.abort();
    assert.equal(await world.end, undefined);
  });
});

describe('connector: choosing the protocol', () => {
  const auto = (clock: TestClock) =>
    new AutoProtocol({ nowMs: () => clock.monotonicMs(), random: () => 0.5, onChange: () => undefined });
  const protocols = (world: World): string[] => world.connector.connections.map(info => info.protocol);

  it('uses QUIC at once where UDP gets through', async t => {
    const clock = new TestClock();
    const world = start(t, { clock, policy: auto(clock) });
    await clock.advance(3_000);
    assert.deepEqual(protocols(world), ['quic', 'quic', 'quic', 'quic']);
    assert.equal(world.edge.dials[0]?.serverName, 'quic.cftunnel.com');
  });

  it('is on HTTP/2 within two seconds where UDP is blocked, and moves to QUIC one by one when it is not any more', async t => {
    const clock = new TestClock();
    const edge = new FakeEdge();
    edge.onDial = (options, protocol) =>
      protocol === 'http2'
        ? edge.connect(protocol, options)
        : new Promise((_, reject) => {
            options.signal?.addEventListener('abort', () => reject(new PosternError('connection.closed', 'aborted')));
            clock.after(5_000, () => reject(new PosternError('dial.timeout', 'idle')));
          });
    const world = start(t, { clock, edge, policy: auto(clock) });
    await clock.advance(2_000);
    assert.deepEqual(protocols(world), ['http2']);
    await clock.advance(200_000);
    assert.deepEqual(protocols(world), ['http2', 'http2', 'http2', 'http2']);
    edge.onDial = undefined;
    const counts: number[] = [];
    world.connector.on('ready', count => counts.push(count));
    const busy = edge.live.find(connection => connection.protocol === 'http2');
    if (busy !== undefined) busy.openStreams = 1;
    await clock.advance(600_000);
    assert.deepEqual(protocols(world).toSorted(), ['http2', 'quic', 'quic', 'quic'], 'the busy one stays');
    if (busy !== undefined) busy.openStreams = 0;
    await clock.advance(30_000);
    assert.deepEqual(protocols(world), ['quic', 'quic', 'quic', 'quic']);
    assert.equal(Math.min(...counts), 3, 'one at a time');
    assert.equal(busy?.aborted?.message, 'The connector stops');
    const moves = edge.requests.filter(request => request.replaceExisting);
    assert.deepEqual(moves.map(request => request.connIndex).toSorted(), [0, 1, 2, 3]);
  });

  it('moves to HTTP/2 one by one, also what is in use, once an origin needs that', async t => {
    const clock = new TestClock();
    const policy = auto(clock);
    const world = start(t, { clock, policy });
    await clock.advance(3_000);
    assert.deepEqual(protocols(world), ['quic', 'quic', 'quic', 'quic']);
    for (const connection of world.edge.live) connection.openStreams = 1;
    policy.keepHttp2While(() => true);
    const counts: number[] = [];
    world.connector.on('ready', count => counts.push(count));
    await clock.advance(60_000);
    assert.deepEqual(protocols(world), ['http2', 'http2', 'http2', 'http2']);
    assert.equal(Math.min(...counts, 4), 3, 'one at a time');
  });

  /** One connection, on HTTP/2, that is about to move to QUIC, of which dials go through from now on. */
  async function aboutToMove(t: TestContext, onRegister: FakeEdge['onRegister']): Promise<World> {
    const clock = new TestClock();
    const edge = new FakeEdge();
    edge.onDial = (options, protocol) => {
      if (protocol === 'quic') throw new PosternError('dial.timeout', 'blocked');
      return edge.connect(protocol, options);
    };
    const world = start(t, { clock, edge, policy: auto(clock), haConnections: 1 });
    await clock.advance(2_000);
    assert.deepEqual(protocols(world), ['http2']);
    edge.onDial = undefined;
    edge.onRegister = onRegister;
    return world;
  }
  const moving = (world: World): boolean => world.edge.requests.at(-1)?.replaceExisting === true;
  async function untilMoving(world: World): Promise<void> {
    for (let second = 0; second < 120 && !moving(world); second += 1) await world.clock.advance(1_000);
    assert.ok(moving(world));
  }

  it('moves a single connection without a moment in which none is registered', async t => {
    const answer = Promise.withResolvers<void>();
    const world = await aboutToMove(t, async request => {
      await answer.promise;
      return world.edge.details(request);
    });
    const [old] = world.edge.live;
    await untilMoving(world);
    assert.deepEqual(protocols(world), ['http2']);
    assert.equal(old?.aborted, undefined);
    answer.resolve();
    await settle();
    assert.deepEqual(protocols(world), ['quic']);
    await world.clock.advance(1_000);
    assert.equal(old?.drained, true);
    assert.deepEqual(
      world.edge.live.map(connection => connection.protocol),
      ['quic'],
    );
  });

  it('goes on over the new connection when the old one ends during the move', async t => {
    const answer = Promise.withResolvers<void>();
    const world = await aboutToMove(t, async request => {
      await answer.promise;
      return world.edge.details(request);
    });
    await untilMoving(world);
    world.edge.live.find(connection => connection.protocol === 'http2')?.lose();
    await settle();
    answer.resolve();
    await settle();
    assert.deepEqual(protocols(world), ['quic']);
    assert.equal(world.edge.requests.length, 2);
  });

  it('leaves nothing behind when stopped during a move', async t => {
    const world = await aboutToMove(t, () => new Promise(() => undefined));
    world.edge.onRegister = async request => {
      const pending = world.edge.connections.at(-1);
      await pending?.closed;
      throw new PosternError('connection.closed', request.clientId);
    };
    await untilMoving(world);
    void world.connector.stop(1_000);
    await world.clock.advance(2_000);
    assert.equal(await world.end, undefined);
    assert.deepEqual(world.edge.live, []);
  });

  it('stays on HTTP/2 when the move fails, and leaves first where an edge lets nobody take a place over', async t => {
    const world = await aboutToMove(t, async request => {
      if (request.replaceExisting) throw new PosternError('registration.duplicate', 'EDUPCONN');
      return world.edge.details(request);
    });
    await untilMoving(world);
    await settle();
    assert.deepEqual(protocols(world), ['http2']);
    await world.clock.advance(30_000);
    assert.deepEqual(protocols(world), ['quic']);
    assert.equal(world.edge.unregistered, 1);
  });
});

describe('connector: spreading over edges', () => {
  const hosts = (world: World): string[] => world.connector.connections.map(info => info.ip).sort();

  it('moves connections back to an edge that was away, and drops no stream for it', async t => {
    const edge = new FakeEdge();
    const [home, other] = ['198.51.1.1', '198.51.2.1'];
    let away = true;
    edge.onDial = options => {
      if (away && options.host === other) throw new PosternError('dial.failed', 'away');
      return edge.connect('http2', options);
    };
    const world = start(t, { edge, addressCount: 2, share: true });
    await world.clock.advance(60_000);
    assert.deepEqual(hosts(world), [home, home, home, home]);

    // A trial fails and costs nothing.
    await world.clock.advance(5 * 60_000);
    assert.ok(edge.dials.filter(dial => dial.host === other).length > 0);
    assert.deepEqual(hosts(world), [home, home, home, home]);
    assert.equal(edge.live.length, 4);

    away = false;
    const busy = edge.live[0] ?? assert.fail();
    busy.openStreams = 1;
    const registrations: number[] = [];
    for (let minute = 0; minute < 60; minute += 1) {
      await world.clock.advance(60_000);
      registrations.push(world.connector.readyCount);
    }
    assert.deepEqual(hosts(world), [home, home, other, other]);
    assert.deepEqual([...new Set(registrations)], [4]);
    // The first to move may be in use: it is drained, and what runs on it finishes.
    assert.ok(!busy.aborted);
    assert.deepEqual(
      edge.requests.slice(-2).map(request => request.replaceExisting),
      [true, true],
    );
    assert.equal(edge.live.length, 4);
  });
});
