import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { describe, it } from 'node:test';
import { type CountedSlots, sessionEnvironment } from '../../../test/support/connector-sessions.ts';
import { createDatagramPair, type MemoryDatagramChannel } from '../../../test/support/datagram-pair.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { openUdpEcho } from '../../../test/support/udp-echo.ts';
import { until } from '../../../test/support/wait.ts';
import { parseIp } from '../../net/address/ip.ts';
import { encodeRegistrationV3, type RegistrationV3, writePayloadPrefixV3 } from '../../wire/datagram/datagram-v3.ts';
import type { PacketHandler } from '../channel/packet-path.ts';
import { chooseUdp } from '../socket/open-udp.ts';
import { type OpenUdp, openNodeUdp } from '../socket/udp-socket.ts';
import { ConnectorSessionsV3 } from './connector-v3.ts';
import type { SessionEnvironment } from './udp-session.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (number: number): Uint8Array => {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(12, number);
  return id;
};
const loopback = Uint8Array.of(127, 0, 0, 1);

/** The edge's side of one connection, at the level of bytes. */
class RawEdge {
  readonly channel: MemoryDatagramChannel;
  readonly received: string[] = [];

  constructor(channel: MemoryDatagramChannel) {
    this.channel = channel;
    channel.receive(datagram => this.received.push(hex(datagram)));
  }

  register(fields: Partial<RegistrationV3> & { port: number }): void {
    const out = new Uint8Array(1400);
    const length = encodeRegistrationV3(out, { id: idOf(1), address: loopback, idleSeconds: 30, ...fields });
    this.channel.send(out.subarray(0, length));
  }

  payload(text: string | Uint8Array, id = idOf(1)): void {
    const body = Buffer.from(text);
    const out = new Uint8Array(17 + body.length);
    writePayloadPrefixV3(out, id);
    out.set(body, 17);
    this.channel.send(out);
  }

  async expect(...datagrams: string[]): Promise<void> {
    await until(`datagrams ${datagrams.join(' ')}, have ${this.received.join(' ')}`, () =>
      datagrams.every(datagram => this.received.includes(datagram)),
    );
  }
}

const ok = (id = idOf(1)): string => `0300${hex(id)}0000`;
const refused = (code: string, id = idOf(1)): string => `03${code}${hex(id)}0000`;
const payloadOf = (text: string, id = idOf(1)): string => `01${hex(id)}${hex(Buffer.from(text))}`;

interface Rig {
  readonly sessions: ConnectorSessionsV3;
  readonly flows: CountedSlots;
  connect(
    connIndex: number,
    packets?: PacketHandler,
  ): { edge: RawEdge; mux: ReturnType<ConnectorSessionsV3['attach']> };
}

/** Runs a test body with a fresh table, and checks afterwards that nothing is left. */
async function withSessions(
  body: (rig: Rig) => Promise<void>,
  options: Partial<SessionEnvironment> & { limit?: number } = {},
): Promise<void> {
  const environment = sessionEnvironment(options);
  const sessions = new ConnectorSessionsV3(environment);
  try {
    await body({
      sessions,
      flows: environment.flows,
      connect: (connIndex, packets) => {
        const { connector, edge } = createDatagramPair({ queueLimit: 6_000 });
        return { mux: sessions.attach({ channel: connector, connIndex, packets }), edge: new RawEdge(edge) };
      },
    });
  } finally {
    sessions.close();
  }
  assert.equal(sessions.size, 0);
  assert.equal(environment.flows.taken, 0);
  assert.equal(environment.wheel.size, 0);
}

const openers: ReadonlyArray<readonly [string, OpenUdp]> = [
  ['node:dgram', openNodeUdp],
  ['chosen', await chooseUdp()],
];

for (const [name, openUdp] of openers)
  describe(`connector, datagram v3, sockets: ${name}`, () => {
    const withRig = (
      body: (rig: Rig) => Promise<void>,
      options: Partial<SessionEnvironment> & { limit?: number } = {},
    ): Promise<void> => withSessions(body, { openUdp, ...options });

    it('registers, answers, carries payloads both ways, empty and largest ones too', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect }) => {
        const { edge, mux } = connect(0);
        edge.register({ port: echo.port });
        await edge.expect(ok());
        edge.payload('hello');
        edge.payload('');
        edge.payload(Buffer.alloc(1280, 'x'));
        await edge.expect(payloadOf('hello'), payloadOf(''), payloadOf('x'.repeat(1280)));
        assert.equal(echo.sources.size, 1);
        assert.equal(mux.counters.activeSessions, 1);
      });
      await echo.close();
    });

    it('delivers the payload bundled in a registration, once', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect }) => {
        const { edge } = connect(0);
        edge.register({ port: echo.port, payload: Buffer.from('bundled') });
        await edge.expect(ok(), payloadOf('bundled'));
        assert.equal(edge.received[0], ok(), 'the response comes before any payload');
        edge.register({ port: echo.port, payload: Buffer.from('bundled') });
        edge.payload('after');
        await edge.expect(payloadOf('after'));
        assert.deepEqual(echo.received.map(String), ['bundled', 'after']);
      });
      await echo.close();
    });

    it('reaches IPv6 destinations', async t => {
      const probe = createSocket('udp6');
      const hasIpv6 = await new Promise<boolean>(resolve => {
        probe.once('error', () => resolve(false));
        probe.bind(0, '::1', () => resolve(true));
      });
      probe.close();
      if (!hasIpv6) {
        t.skip('this machine has no IPv6 loopback');
        return;
      }
      const echo = await openUdpEcho({ host: '::1' });
      await withRig(async ({ connect }) => {
        const { edge } = connect(0);
        edge.register({ port: echo.port, address: parseIp('::1') ?? loopback });
        await edge.expect(ok());
        edge.payload('six');
        await edge.expect(payloadOf('six'));
      });
      await echo.close();
    });

    it('answers a repeated registration again and keeps its one socket', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect, sessions }) => {
        const { edge, mux } = connect(0);
        for (let times = 0; times < 3; times += 1) edge.register({ port: echo.port });
        await until('an answer or one for several', () => edge.received.length > 0);
        edge.register({ port: echo.port });
        await until('one more answer', () => edge.received.length > 1);
        assert.ok(edge.received.every(datagram => datagram === ok()));
        edge.payload('a');
        await edge.expect(payloadOf('a'));
        assert.equal(sessions.size, 1);
        assert.equal(echo.sources.size, 1);
        assert.equal(mux.counters.retryResponses, 3);
        assert.equal(mux.counters.totalSessions, 1);
      });
      await echo.close();
    });

    it('moves a session to the connection that registers its id, with the same origin socket', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect, sessions }) => {
        const first = connect(0);
        const second = connect(1);
        first.edge.register({ port: echo.port });
        await first.edge.expect(ok());
        // Not claimed yet: a payload on the other connection is a stranger's.
        second.edge.payload('spoofed');
        await until('drop', () => second.mux.counters.dropped.write_flow_unknown === 1);
        second.edge.register({ port: echo.port });
        await second.edge.expect(ok());
        second.edge.payload('moved');
        await second.edge.expect(payloadOf('moved'));
        first.edge.payload('late');
        await until('drop', () => first.mux.counters.dropped.write_flow_unknown === 1);
        assert.deepEqual(echo.received.map(String), ['moved']);
        assert.equal(echo.sources.size, 1);
        assert.equal(sessions.size, 1);
        assert.equal(second.mux.counters.migratedSessions, 1);
        assert.equal(first.mux.counters.activeSessions, 0);
        assert.equal(second.mux.counters.activeSessions, 1);
      });
      await echo.close();
    });

    it('keeps sessions of a lost connection for a while, for another connection to claim', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect, sessions }) => {
        const first = connect(0);
        first.edge.register({ port: echo.port });
        await first.edge.expect(ok());
        first.edge.payload('one');
        await first.edge.expect(payloadOf('one'));
        first.mux.close();
        assert.equal(sessions.size, 1);
        // A reconnect has the same index: the session must follow the new connection, not the index.
        const again = connect(0);
        again.edge.register({ port: echo.port });
        await again.edge.expect(ok());
        again.edge.payload('two');
        await again.edge.expect(payloadOf('two'));
        assert.equal(echo.sources.size, 1);
      });
      await echo.close();
    });

    it('refuses to hand a session to a registration for another destination', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect }) => {
        const first = connect(0);
        const second = connect(1);
        first.edge.register({ port: echo.port });
        await first.edge.expect(ok());
        second.edge.register({ port: echo.port + 1 });
        await second.edge.expect(refused('02'));
        first.edge.payload('still mine');
        await first.edge.expect(payloadOf('still mine'));
      });
      await echo.close();
    });

    it('ends idle sessions and only those', async () => {
      const echo = await openUdpEcho();
      await withRig(async ({ connect, sessions }) => {
        const { edge, mux } = connect(0);
        edge.register({ port: echo.port, idleSeconds: 1 });
        edge.register({ port: echo.port, idleSeconds: 3600, id: idOf(2) });
        await edge.expect(ok(), ok(idOf(2)));
        await until('one session left', () => sessions.size === 1);
        edge.payload('gone');
        await until('unknown', () => mux.counters.dropped.write_flow_unknown === 1);
        edge.payload('there', idOf(2));
        await edge.expect(payloadOf('there', idOf(2)));
      });
      await echo.close();
    });

    it('answers 02 when the destination cannot be reached or is not allowed, 03 at the flow limit', async () => {
      const echo = await openUdpEcho();
      await withRig(
        async ({ connect, flows }) => {
          const { edge, mux } = connect(0);
          edge.register({ port: 9, address: Uint8Array.of(10, 66, 66, 66) });
          await edge.expect(refused('02'));
          edge.register({ port: 0, id: idOf(4) });
          await edge.expect(refused('02', idOf(4)));
          assert.equal(flows.taken, 0, 'a failed dial gives its slot back');
          edge.register({ port: echo.port, id: idOf(2) });
          await edge.expect(ok(idOf(2)));
          edge.register({ port: echo.port, id: idOf(3) });
          await edge.expect(refused('03', idOf(3)));
          assert.equal(mux.counters.rateLimited, 1);
          assert.equal(mux.counters.failedSessions, 2);
        },
        { limit: 1, allowDestination: address => address[0] === 127 },
      );
      await echo.close();
    });

    it('ends a session whose origin port is closed', async () => {
      const echo = await openUdpEcho();
      await echo.close();
      await withRig(async ({ connect, sessions }) => {
        const { edge } = connect(0);
        edge.register({ port: echo.port });
        await edge.expect(ok());
        edge.payload('anybody?');
        await until('session ended', () => sessions.size === 0);
      });
    });

    it('drops and counts origin payloads that are too large, for the protocol or for the path', async () => {
      const sizes = [1281, 1400, 1280, 1000, 4];
      const echo = await openUdpEcho({ answer: payload => Buffer.alloc(sizes[payload[0] ?? 0] ?? 0, payload) });
      await withRig(async ({ connect }) => {
        const { edge, mux } = connect(0);
        edge.register({ port: echo.port });
        await edge.expect(ok());
        for (let index = 0; index < sizes.length; index += 1) edge.payload(Uint8Array.of(index));
        await edge.expect(
          payloadOf('\u0004'.repeat(4)),
          payloadOf('\u0003'.repeat(1000)),
          payloadOf('\u0002'.repeat(1280)),
        );
        assert.equal(mux.counters.dropped.read_too_large, 2);
      });
      await echo.close();
    });

    it('refuses and counts what does not fit the path, and the session lives on', async () => {
      const echo = await openUdpEcho();
      const environment = sessionEnvironment({ openUdp });
      const sessions = new ConnectorSessionsV3(environment);
      const { connector, edge: edgeEnd } = createDatagramPair();
      connector.maxBytes = 1000;
      const mux = sessions.attach({ channel: connector, connIndex: 0, packets: undefined });
      const edge = new RawEdge(edgeEnd);
      edge.register({ port: echo.port });
      await edge.expect(ok());
      edge.payload(Buffer.alloc(984));
      edge.payload('small');
      await edge.expect(payloadOf('small'));
      assert.equal(mux.counters.dropped.send_too_large, 1);
      assert.equal(connector.dropped.tooLarge, 1);
      sessions.close();
      await echo.close();
    });

    it('sends the virtual DNS address to the resolver', async () => {
      const resolver = await openUdpEcho();
      await withRig(
        async ({ connect }) => {
          const { edge } = connect(0);
          edge.register({ port: 53, address: parseIp('2606:4700:cf1:2000::1') ?? loopback });
          await edge.expect(ok());
          edge.payload('query');
          await edge.expect(payloadOf('query'));
        },
        { resolvers: [{ address: loopback, port: resolver.port }], allowDestination: () => false },
      );
      await resolver.close();
    });

    it('hands IP packets over with their way back, and counts them where nobody takes them', async () => {
      await withRig(async ({ connect }) => {
        const handler: PacketHandler = { packet: (packet, from) => from.sendPacket(packet.toReversed()) };
        const { edge } = connect(0, handler);
        edge.channel.send(Uint8Array.of(2, 0x45, 1));
        await edge.expect('020145');
        const without = connect(1);
        without.edge.channel.send(Uint8Array.of(2, 0x45));
        await until('drop', () => without.mux.counters.droppedPackets.write_failed === 1);
      });
    });

    it('counts malformed datagrams and those of the wrong direction, and never falls over random ones', async () => {
      const echo = await openUdpEcho();
      await withRig(
        async ({ connect }) => {
          const { edge, mux } = connect(0);
          for (let length = 0; length < 26; length += 1) edge.channel.send(new Uint8Array(length));
          edge.channel.send(Uint8Array.of(0, 1, ...new Uint8Array(35)));
          edge.channel.send(Uint8Array.of(3, ...new Uint8Array(19)));
          edge.channel.send(Uint8Array.of(9));
          await until('counted', () => mux.counters.malformed['unknown-type'] === 2);
          assert.deepEqual(mux.counters.malformed, { empty: 1, short: 26, oversized: 0, 'unknown-type': 2 });
          const random = seededRandom(99);
          for (let round = 0; round < 2_000; round += 1) edge.channel.send(random.bytes(random.below(60)));
          edge.register({ port: echo.port });
          await edge.expect(ok());
        },
        { allowDestination: address => address[0] === 127 && address[3] === 1 },
      );
      await echo.close();
    });

    it('holds 5,000 sessions at once, each with its own socket, and leaves nothing behind', async () => {
      const echo = await openUdpEcho();
      const before = process.getActiveResourcesInfo().length;
      await withRig(async ({ connect, sessions }) => {
        const { edge, mux } = connect(0);
        const count = 5_000;
        for (let number = 0; number < count; number += 1)
          edge.register({ port: echo.port, id: idOf(number), idleSeconds: 300 });
        await until('all answered', () => edge.received.length === count, 30_000);
        assert.ok(edge.received.every(datagram => datagram.startsWith('0300')));
        assert.equal(sessions.size, count);
        for (let number = 0; number < count; number += 1) {
          edge.payload(`n${number}`, idOf(number));
          if (number % 100 === 99) await until('echoes', () => edge.received.length >= count + number - 50, 30_000);
        }
        await until('most echoes', () => edge.received.length >= 2 * count - 50, 30_000);
        assert.ok(echo.sources.size >= count - 50);
        assert.equal(mux.counters.activeSessions, count);
      });
      await until('sockets closed', () => process.getActiveResourcesInfo().length <= before);
      await echo.close();
    });
  });
