import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { PrivateWorld } from '../../../test/support/private-world.ts';
import { isPosternError } from '../../errors/error.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';
import { EchoService } from './echo-service.ts';

const host = { kind: 'address', address: Uint8Array.of(10, 0, 0, 1) } as const;

describe('echo service', () => {
  let world: PrivateWorld;
  let echo: EchoService;
  beforeEach(async () => {
    world = await PrivateWorld.open();
    echo = world.use(new EchoService(world.network));
  });
  afterEach(() => world.close());
  const probe = (network: NetworkRecord, session: string) =>
    echo.probe({
      network,
      host,
      session,
      sourceAddress: '192.0.2.7',
      ttl: 64,
      sequence: 1,
      data: new Uint8Array(8),
      timeoutMs: 1_000,
    });

  it('leaves room for others when one account begins many series', async () => {
    const other = await world.addAccount('other');
    await world.addRoute('10.0.0.0/8', await world.addTunnel('home'));
    await world.addRoute('10.0.0.0/8', await world.addTunnel('theirs', other.tag), other.vnet);
    const sessions = Array.from({ length: 256 }, () => randomUUID());
    for (const session of sessions) assert.equal((await probe(world.vnet, session)).result.kind, 'unreachable');
    await assert.rejects(
      () => probe(world.vnet, randomUUID()),
      error => isPosternError(error, 'flow.limit'),
    );
    assert.equal((await probe(other.vnet, randomUUID())).result.kind, 'unreachable');
    // One that runs goes on.
    await probe(world.vnet, sessions[0] ?? '');
    assert.deepEqual([echo.size, echo.counters.series, echo.counters.results.unreachable], [257, 257, 258]);
  });

  it('keeps nothing of a series that was refused', async () => {
    for (let attempt = 0; attempt < 300; attempt += 1)
      await assert.rejects(
        () => probe(world.vnet, randomUUID()),
        error => isPosternError(error, 'flow.denied'),
      );
    assert.equal(echo.size, 0);
  });
});
