import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../../test/support/test-clock.ts';
import { createEdgeAddress } from '../../discovery/edge-address.ts';
import { EdgeBalance, type Movable } from './edge-balance.ts';

const to = createEdgeAddress('198.51.100.2', 7844);
const minuteMs = 60_000;

interface World {
  readonly clock: TestClock;
  /** Connections that began to move, with the minute. */
  readonly moves: [connIndex: number, minute: number][];
  users: number[];
  busy: number[];
  /** Whether moves work. */
  works: boolean;
  missing: boolean;
  /** The edge has no connection at all. */
  unused: boolean;
  minutes(count: number): Promise<void>;
}

function createWorld(random = 0): World {
  const clock = new TestClock();
  const directory = {
    get uneven() {
      return world.users.length > 2 ? { to, isUnused: world.unused, users: world.users } : undefined;
    },
  };
  const balance = new EdgeBalance({ directory, clock, random: () => random });
  const connections: Movable[] = [0, 1, 2, 3].map(connIndex => ({
    connIndex,
    moveToAddress: (address, evenInUse) => {
      assert.equal(address, to);
      if (evenInUse !== true && world.busy.includes(connIndex)) return undefined;
      world.moves.push([connIndex, Math.round(clock.monotonicMs() / minuteMs)]);
      if (world.works) {
        world.users = world.users.filter(user => user !== connIndex);
        world.unused = false;
      }
      return Promise.resolve(world.works);
    },
  }));
  const world: World = {
    clock,
    moves: [],
    users: [0, 1, 2, 3],
    busy: [],
    works: true,
    missing: false,
    unused: false,
    async minutes(count) {
      for (let tick = 0; tick < count * 6; tick += 1) {
        await clock.advance(10_000);
        balance.tick(world.missing ? undefined : connections);
      }
    },
  };
  return world;
}

describe('spreading connections over edges', () => {
  it('moves one at a time, minutes apart, until all is even', async () => {
    const world = createWorld();
    await world.minutes(1.5);
    assert.deepEqual(world.moves, []);
    await world.minutes(60);
    assert.deepEqual(world.moves, [
      [0, 2],
      [1, 4],
    ]);
  });

  it('waits longer by chance, so that connectors do not move together', async () => {
    const world = createWorld(0.99);
    await world.minutes(4.5);
    assert.deepEqual(world.moves, []);
    await world.minutes(1);
    assert.deepEqual(world.moves, [[0, 5]]);
  });

  it('gives an edge that has none a connection within seconds, even one in use', async () => {
    const world = createWorld(0.99);
    world.unused = true;
    world.busy = [0, 1, 2, 3];
    await world.minutes(0.5);
    assert.deepEqual(
      world.moves.map(move => move[0]),
      [0],
    );
    // The rest may take its time.
    world.unused = false;
    world.moves.length = 0;
    await world.minutes(2);
    assert.deepEqual(world.moves, []);
  });

  it('leaves connections in use alone', async () => {
    const world = createWorld();
    world.busy = [0, 1, 2, 3];
    await world.minutes(10);
    assert.deepEqual(world.moves, []);
    world.busy = [0, 1, 3];
    await world.minutes(1);
    assert.deepEqual(
      world.moves.map(move => move[0]),
      [2],
    );
  });

  it('begins anew when a connection was lost meanwhile', async () => {
    const world = createWorld();
    await world.minutes(1.5);
    world.missing = true;
    await world.minutes(1);
    world.missing = false;
    await world.minutes(1.5);
    assert.deepEqual(world.moves, []);
    await world.minutes(1);
    assert.equal(world.moves.length, 1);
  });

  it('tries an edge that stays away less and less often, and comes back to it', async () => {
    const world = createWorld();
    world.works = false;
    await world.minutes(60);
    const at = world.moves.map(move => move[1]);
    assert.deepEqual(at, [2, 6, 15, 31, 47]);
    world.works = true;
    await world.minutes(20);
    assert.equal(world.users.length, 2);
  });
});
