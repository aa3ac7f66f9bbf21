import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isPosternError, type PosternError } from '../errors/error.ts';
import { createTunnelId } from '../schema/api/id.ts';
import { silentLogger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import { ConfigurationSender } from './configuration-sender.ts';
import { ConnectorRegistry, type RegisteredConnection } from './connector-registry.ts';
import { askMs, giveUpMs, Liveness, lookMs, suspectMs } from './liveness.ts';

const tunnelId = createTunnelId();

/** A connection whose peer the test plays: it answers pings only while `answers`. */
class Peer {
  receivedBytes = 0;
  openStreams = 0;
  pings = 0;
  answers = true;
  lost: PosternError | undefined;
  readonly registered: RegisteredConnection;

  constructor(connIndex: number) {
    const played: Pick<EdgeConnection, 'openStreams' | 'stats' | 'ping' | 'abort' | 'closed'> = {
      openStreams: 0,
      closed: new Promise(() => undefined),
      stats: () => ({ protocol: 'http2', openStreams: this.openStreams, receivedBytes: this.receivedBytes }),
      ping: () => {
        this.pings += 1;
        if (this.answers) this.receivedBytes += 17;
        return Promise.resolve(1);
      },
      abort: error => {
        this.lost = error;
      },
    };
    Object.defineProperty(played, 'openStreams', { get: () => this.openStreams });
    this.registered = {
      id: `connection-${connIndex}`,
      tunnelId,
      accountTag: 'account',
      secret: new Uint8Array(32),
      clientId: `client-${connIndex}`,
      connIndex,
      connection: played as EdgeConnection,
      location: 'test',
      features: [],
      datagramVersion: 3,
      version: 'test',
      arch: 'test',
      openedAtMs: 0,
      draining: false,
      configurations: new ConfigurationSender(played as EdgeConnection, silentLogger()),
    };
  }
}

function open(t: TestContext) {
  let nowMs = 0;
  const registry = new ConnectorRegistry();
  const liveness = new Liveness({ registry, now: () => nowMs });
  t.after(() => liveness[Symbol.dispose]());
  const peers = [new Peer(0), new Peer(1)] as const;
  for (const { registered } of peers) registry.add(registered);
  const look = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += lookMs) {
      nowMs += lookMs;
      liveness.look();
      await Promise.resolve();
    }
  };
  const standStill = (ms: number): void => {
    nowMs += ms;
  };
  return { registry, peers, look, standStill };
}

describe('liveness of connectors', () => {
  it('suspects a connection that is silent while requests wait, and then gives it up', async t => {
    const { registry, peers, look } = open(t);
    const [silent, lively] = peers;
    let told = 0;
    registry.whenSuspect(silent.registered.connection, () => (told += 1));
    silent.openStreams = 1;
    silent.answers = false;
    lively.openStreams = 5;
    await look(askMs + lookMs);
    assert.deepEqual([silent.pings, registry.isSuspect(silent.registered)], [1, false]);
    await look(suspectMs - askMs);
    assert.ok(registry.isSuspect(silent.registered));
    assert.equal(told, 1);
    // New requests go to the other one, however busy that is.
    assert.equal(registry.pick(tunnelId), lively.registered);
    assert.equal(registry.pick(tunnelId, [lively.registered.connection]), silent.registered, 'better than none');
    assert.equal(silent.lost, undefined);
    await look(giveUpMs - suspectMs);
    assert.ok(isPosternError(silent.lost, 'connection.lost'));
    assert.deepEqual([lively.lost, registry.isSuspect(lively.registered)], [undefined, false]);
  });

  it('trusts a connection again that says anything', async t => {
    const { registry, peers, look } = open(t);
    const [silent] = peers;
    silent.openStreams = 1;
    silent.answers = false;
    await look(suspectMs + lookMs);
    assert.ok(registry.isSuspect(silent.registered));
    silent.receivedBytes += 1;
    await look(lookMs);
    assert.ok(!registry.isSuspect(silent.registered));
    assert.equal(silent.lost, undefined);
  });

  it('expects nothing of an idle connection, and an answer of one whose origin takes its time', async t => {
    const { registry, peers, look } = open(t);
    const [idle, slow] = peers;
    idle.answers = false;
    slow.openStreams = 1;
    await look(10 * giveUpMs);
    assert.deepEqual([idle.pings, idle.lost, registry.isSuspect(idle.registered)], [0, undefined, false]);
    assert.ok(slow.pings > 10);
    assert.deepEqual([slow.lost, registry.isSuspect(slow.registered)], [undefined, false]);
    // Silence counts from the request on, not from the last byte.
    idle.openStreams = 1;
    await look(askMs);
    assert.ok(!registry.isSuspect(idle.registered));
  });

  it('suspects nobody after it stood still itself', async t => {
    const { registry, peers, look, standStill } = open(t);
    for (const peer of peers) peer.openStreams = 1;
    await look(lookMs);
    standStill(10 * giveUpMs);
    await look(lookMs);
    assert.deepEqual(
      peers.map(peer => [peer.lost, registry.isSuspect(peer.registered)]),
      [
        [undefined, false],
        [undefined, false],
      ],
    );
  });
});
