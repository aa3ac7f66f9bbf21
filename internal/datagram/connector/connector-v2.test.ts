import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CountedSlots, sessionEnvironment } from '../../../test/support/connector-sessions.ts';
import { createDatagramPair, type MemoryDatagramChannel } from '../../../test/support/datagram-pair.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { openUdpEcho } from '../../../test/support/udp-echo.ts';
import { until } from '../../../test/support/wait.ts';
import type { PacketHandler } from '../channel/packet-path.ts';
import { ConnectorMuxV2, type RegisterSessionV2 } from './connector-v2.ts';
import { formatGoDuration, type SessionEnvironment } from './udp-session.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (number: number): Uint8Array => new Uint8Array(16).fill(number);
const loopback = Uint8Array.of(127, 0, 0, 1);

interface Rig {
  readonly mux: ConnectorMuxV2;
  readonly edge: MemoryDatagramChannel;
  readonly received: string[];
  readonly unregistered: Array<readonly [string, string]>;
  readonly flows: CountedSlots;
  register(fields: Partial<RegisterSessionV2> & { port: number }): Promise<string | undefined>;
  payload(text: string, id?: Uint8Array): void;
  expect(text: string, id?: Uint8Array): Promise<void>;
}

async function withRig(
  body: (rig: Rig) => Promise<void>,
  options: Partial<SessionEnvironment> & { limit?: number; packets?: PacketHandler } = {},
): Promise<void> {
  const environment = sessionEnvironment(options);
  const { connector, edge } = createDatagramPair();
  const unregistered: Array<readonly [string, string]> = [];
  const mux = new ConnectorMuxV2(environment, {
    channel: connector,
    connIndex: 0,
    packets: options.packets,
    unregister: (id, message) => unregistered.push([hex(id), message]),
  });
  const received: string[] = [];
  edge.receive(datagram => received.push(hex(datagram)));
  const datagramOf = (text: string, id: Uint8Array): string => `${hex(Buffer.from(text))}${hex(id)}00`;
  try {
    await body({
      mux,
      edge,
      received,
      unregistered,
      flows: environment.flows,
      register: fields => mux.registerSession({ id: idOf(1), address: loopback, idleHintNs: 0n, ...fields }),
      payload: (text, id = idOf(1)) => edge.send(Buffer.from(datagramOf(text, id), 'hex')),
      expect: (text, id = idOf(1)) => until(`payload ${text}`, () => received.includes(datagramOf(text, id))),
    });
  } finally {
    mux.close();
  }
  assert.equal(mux.size, 0);
  assert.equal(environment.flows.taken, 0);
  assert.equal(environment.wheel.size, 0);
}

describe('connector, datagram v2', () => {
  it('registers by call and carries payloads both ways, as recorded', async () => {
    const echo = await openUdpEcho();
    await withRig(async ({ register, payload, expect, mux, unregistered }) => {
      const id = Buffer.from('0102030405064708890a0b0c0d0e0f10', 'hex');
      assert.equal(await register({ port: echo.port, id, idleHintNs: 30_000_000_000n }), undefined);
      payload('hello', id);
      payload('second datagram', id);
      payload('', id);
      await expect('hello', id);
      await expect('second datagram', id);
      await expect('', id);
      mux.unregisterSession(id, 'done');
      assert.equal(mux.size, 0);
      mux.unregisterSession(id, 'done again');
      payload('late', id);
      await until('unknown', () => mux.counters.dropped.write_flow_unknown === 1);
      assert.deepEqual(unregistered, [], 'an end that the edge asked for is not reported to it');
    });
    await echo.close();
  });

  it('takes a mapped address for IPv4', async () => {
    const echo = await openUdpEcho();
    await withRig(async ({ register, payload, expect }) => {
      const address = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);
      assert.equal(await register({ port: echo.port, address }), undefined);
      payload('mapped');
      await expect('mapped');
    });
    await echo.close();
  });

  it('says what is wrong in the words of cloudflared', async () => {
    const echo = await openUdpEcho();
    await withRig(
      async ({ register, mux, flows }) => {
        assert.equal(await register({ port: echo.port, address: new Uint8Array(5) }), 'unable to parse destination IP');
        await assert.rejects(register({ port: echo.port, id: new Uint8Array(15) }), { code: 'protocol.malformed' });
        assert.match((await register({ port: 0 })) ?? '', /^unable to dial udp to origin 127\.0\.0\.1:0: ./);
        assert.match(
          (await register({ port: 53, address: Uint8Array.of(10, 0, 0, 1) })) ?? '',
          /^unable to dial udp to origin 10\.0\.0\.1:53: destination not allowed$/,
        );
        assert.equal(flows.taken, 0);
        assert.equal(await register({ port: echo.port }), undefined);
        assert.equal(
          await register({ port: echo.port, id: idOf(2) }),
          'failed to start udp session due to rate limiting: too many active flows',
        );
        assert.equal(mux.counters.rateLimited, 1);
        assert.equal(mux.size, 1);
      },
      { limit: 1, allowDestination: address => address[0] === 127 },
    );
    await echo.close();
  });

  it('replaces a session of the same id without leaking its socket', async () => {
    const first = await openUdpEcho();
    const second = await openUdpEcho();
    await withRig(async ({ register, payload, expect, mux, flows, unregistered }) => {
      assert.equal(await register({ port: first.port }), undefined);
      assert.equal(await register({ port: second.port }), undefined);
      assert.equal(mux.size, 1);
      assert.equal(flows.taken, 1);
      payload('to the second');
      await expect('to the second');
      assert.equal(first.received.length, 0);
      assert.deepEqual(unregistered, []);
    });
    await first.close();
    await second.close();
  });

  it('tells the edge when a session idles out or its origin refuses', async () => {
    const echo = await openUdpEcho();
    await withRig(async ({ register, unregistered, mux, payload }) => {
      assert.equal(await register({ port: echo.port, idleHintNs: 200_000_000n }), undefined);
      await until('idle', () => mux.size === 0);
      assert.deepEqual(unregistered, [[hex(idOf(1)), 'session idle for 200ms']]);
      await echo.close();
      assert.equal(await register({ port: echo.port, id: idOf(2) }), undefined);
      payload('x', idOf(2));
      await until('refused', () => mux.size === 0);
      assert.equal(unregistered[1]?.[0], hex(idOf(2)));
      assert.match(unregistered[1]?.[1] ?? '', /unable to dial udp|refused/i);
    });
  });

  it('brings nonsense hints into range', async () => {
    const echo = await openUdpEcho();
    await withRig(async ({ register, mux }) => {
      for (const [index, hint] of [1n, -5n, 7n, (1n << 63n) - 1n].entries())
        assert.equal(await register({ port: echo.port, id: idOf(index), idleHintNs: hint }), undefined);
      await until('the two shortest ended', () => mux.size === 2);
    });
    await echo.close();
  });

  it('ends all sessions with the connection, without calls to the edge', async () => {
    const echo = await openUdpEcho();
    await withRig(async ({ register, mux, unregistered, flows }) => {
      for (let number = 0; number < 20; number += 1) await register({ port: echo.port, id: idOf(number) });
      mux.close();
      assert.equal(flows.taken, 0);
      assert.deepEqual(unregistered, []);
      assert.equal(await register({ port: echo.port }), 'connection is closing');
    });
    await echo.close();
  });

  it('hands over packets of both kinds, and takes no harm from spans or random bytes', async () => {
    const packets: PacketHandler = { packet: (packet, from) => from.sendPacket(packet.toReversed()) };
    await withRig(
      async ({ edge, received, mux }) => {
        edge.send(Uint8Array.of(1, 2, 3, 1));
        edge.send(Uint8Array.of(4, 5, ...new Uint8Array(25), 2));
        await until('packets back', () => received.length === 2);
        assert.deepEqual(received, ['03020101', '050401']);
        edge.send(Uint8Array.of(...new Uint8Array(25), 3));
        await until('counted', () => mux.counters.malformed['unknown-type'] === 1);
        const random = seededRandom(3);
        for (let round = 0; round < 2_000; round += 1) edge.send(random.bytes(random.below(40)));
        edge.send(Uint8Array.of(8, 9, 1));
        await until('still there', () => received.includes('090801'));
      },
      { packets },
    );
  });
});

describe('durations in the way of Go', () => {
  for (const [ms, text] of [
    [210_000, '3m30s'],
    [120_000, '2m0s'],
    [1_500, '1.5s'],
    [20, '20ms'],
    [3_600_000, '1h0m0s'],
    [30_000, '30s'],
  ] as const) {
    it(text, () => assert.equal(formatGoDuration(ms), text));
  }
});
