import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AddressPool, type EdgeIpVersion, primaryTimeoutMs } from './address-pool.ts';
import { createEdgeAddress, type EdgeAddress, formatEdgeAddress } from './edge-address.ts';

const v4 = (n: number, region = 1): EdgeAddress => createEdgeAddress(`198.41.${region}.${n}`, 7844);
const v6 = (n: number, region = 1): EdgeAddress => createEdgeAddress(`2606:4700:${region}::${n}`, 7844);

function createPool(
  first: EdgeAddress[],
  second: EdgeAddress[],
  options: { version?: EdgeIpVersion; share?: boolean; random?: () => number } = {},
) {
  const clock = { ms: 0 };
  const pool = new AddressPool([first, second], {
    version: options.version ?? 'auto',
    share: options.share ?? false,
    random: options.random ?? seeded(1),
    nowMs: () => clock.ms,
  });
  return { pool, clock };
}

/** Park-Miller: the same numbers on every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const region = (address: EdgeAddress | undefined): string | undefined => address?.ip.split('.')[2];

describe('address pool: allocation', () => {
  it('spreads four connections evenly over two regions, whatever the dice say', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { pool } = createPool([v4(1), v4(2), v4(3)], [v4(1, 2), v4(2, 2), v4(3, 2)], { random: seeded(seed) });
      const given = [0, 1, 2, 3].map(index => pool.get(index));
      assert.equal(new Set(given.map(a => a && formatEdgeAddress(a))).size, 4);
      assert.equal(given.filter(a => region(a) === '1').length, 2);
    }
  });

  it('prefers the region with more unused addresses', () => {
    const { pool } = createPool([v4(1)], [v4(1, 2), v4(2, 2), v4(3, 2)]);
    assert.equal(region(pool.get(0)), '2');
    assert.equal(region(pool.get(1)), '2');
  });

  it('gives a connection its own address again', () => {
    const { pool } = createPool([v4(1), v4(2)], [v4(1, 2), v4(2, 2)]);
    const first = pool.get(0);
    pool.get(1);
    assert.equal(pool.get(0), first);
  });

  it('has none when all are taken, and again after one is given back', () => {
    const { pool } = createPool([v4(1)], [v4(1, 2)]);
    pool.get(0);
    const second = pool.get(1);
    assert.equal(pool.get(2), undefined);
    pool.giveBack(1, false);
    assert.equal(pool.get(2), second);
    assert.equal(pool.capacity, 2);
  });
});

describe('address pool: rotation', () => {
  it('never gives the failing address back at once', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { pool } = createPool([v4(1), v4(2)], [], { random: seeded(seed) });
      const first = pool.get(0);
      assert.notEqual(pool.rotate(0), first);
    }
  });

  it('leaves the connection without an address when there is no other, and frees the old one', () => {
    const { pool } = createPool([v4(1)], []);
    const first = pool.get(0);
    assert.equal(pool.rotate(0), undefined);
    assert.equal(pool.get(0), first);
  });

  it('counts entries, not values: one address listed four times serves four connections', () => {
    const { pool } = createPool([v4(1), v4(1)], [v4(1), v4(1)]);
    for (const index of [0, 1, 2, 3]) assert.equal(pool.get(index)?.ip, v4(1).ip);
    assert.equal(pool.get(4), undefined);
  });
});

describe('address pool: sharing', () => {
  it('serves all connections from a single address, also on rotation', () => {
    const { pool } = createPool([v4(1)], [], { share: true });
    for (const index of [0, 1, 2, 3]) assert.equal(pool.get(index)?.ip, v4(1).ip);
    assert.equal(pool.rotate(2)?.ip, v4(1).ip);
    assert.equal(pool.capacity, Number.POSITIVE_INFINITY);
  });

  it('takes the least used address, and another one on rotation', () => {
    const { pool } = createPool([v4(1)], [v4(2, 2)], { share: true });
    const given = [0, 1, 2, 3].map(index => pool.get(index)?.ip);
    assert.deepEqual(given.toSorted(), [v4(1).ip, v4(1).ip, v4(2, 2).ip, v4(2, 2).ip]);
    assert.notEqual(pool.rotate(0)?.ip, given[0]);
  });

  it('has none when the list is empty', () => {
    const { pool } = createPool([], [], { share: true });
    assert.equal(pool.get(0), undefined);
    assert.equal(pool.capacity, 0);
  });
});

describe('address pool: families', () => {
  it('auto begins with the family of the first address', () => {
    assert.equal(createPool([v6(1), v4(1)], []).pool.get(0)?.family, 6);
    assert.equal(createPool([v4(1), v6(1)], []).pool.get(0)?.family, 4);
  });

  it('4 and 6 use nothing else', () => {
    const four = createPool([v6(1), v4(1)], [], { version: 4 }).pool;
    assert.equal(four.get(0)?.family, 4);
    assert.equal(four.get(1), undefined);
    const six = createPool([v6(1), v4(1)], [], { version: 6 }).pool;
    assert.equal(six.get(0)?.family, 6);
    assert.equal(six.rotate(0), undefined);
  });

  it('a failing IPv6 primary switches the region to IPv4 for ten minutes', () => {
    const { pool, clock } = createPool([v6(1), v6(2), v4(1), v4(2)], []);
    assert.equal(pool.get(0)?.family, 6);
    pool.get(1);
    assert.equal(pool.rotate(0)?.family, 4);
    // Connection 1 still holds IPv6: giving that back as failing before the time is over changes nothing.
    clock.ms = primaryTimeoutMs - 1;
    assert.equal(pool.rotate(1)?.family, 4);
  });

  it('a failing IPv6 address returns to the primary once the time is over', () => {
    const { pool, clock } = createPool([v6(1), v6(2), v6(3), v4(1), v4(2)], []);
    pool.get(0);
    pool.get(1);
    pool.rotate(0);
    clock.ms = primaryTimeoutMs;
    assert.equal(pool.rotate(1)?.family, 6);
  });

  it('a failing IPv4 address of the secondary set returns to the primary at once', () => {
    const { pool } = createPool([v6(1), v6(2), v4(1), v4(2)], []);
    pool.get(0);
    assert.equal(pool.rotate(0)?.family, 4);
    assert.equal(pool.rotate(0)?.family, 6);
  });

  it('a failing IPv4 primary stays', () => {
    const { pool } = createPool([v4(1), v4(2), v6(1)], []);
    pool.get(0);
    assert.equal(pool.rotate(0)?.family, 4);
  });

  it('giving back without an error changes nothing', () => {
    const { pool } = createPool([v6(1), v4(1)], []);
    pool.get(0);
    pool.giveBack(0, false);
    assert.equal(pool.get(0)?.family, 6);
  });
});

describe('address pool: replacing the table', () => {
  it('keeps the addresses that are still listed and hands out new ones for the others', () => {
    const { pool } = createPool([v4(1)], [v4(2, 2)]);
    const first = pool.get(0);
    const second = pool.get(1);
    assert.ok(first !== undefined && second !== undefined);
    pool.replace([[v4(9)], [first]]);
    assert.deepEqual(pool.get(0), first);
    assert.deepEqual(pool.get(1), v4(9));
  });

  it('keeps a region on its secondary family', () => {
    const { pool } = createPool([v6(1), v6(2), v4(1)], []);
    pool.get(0);
    pool.rotate(0);
    pool.replace([[v6(1), v6(2), v4(1), v4(2)], []]);
    assert.equal(pool.get(1)?.family, 4);
  });
});

describe('address pool: uneven use', () => {
  /** Shared addresses, of which connections 0 to 3 found the first one only. */
  function afterAnOutage(a: readonly EdgeAddress[], b: readonly EdgeAddress[]): AddressPool {
    const pool = new AddressPool([a, b], { version: 'auto', share: true, random: () => 0, nowMs: () => 0 });
    for (const connIndex of [0, 1, 2, 3]) {
      pool.get(connIndex);
      pool.assign(connIndex, a[0] ?? v4(1));
    }
    return pool;
  }

  it('is none as long as no address has two users more than another', () => {
    const pool = new AddressPool([[v4(1)], [v4(2)]], { version: 'auto', share: true, random: () => 0, nowMs: () => 0 });
    for (const connIndex of [0, 1, 2]) {
      pool.get(connIndex);
      assert.equal(pool.uneven, undefined);
    }
  });

  it('names who could move and where to, until all is even', () => {
    const pool = afterAnOutage([v4(1)], [v4(2)]);
    assert.deepEqual(pool.uneven, { to: v4(2), isUnused: true, users: [0, 1, 2, 3] });
    pool.assign(3, v4(2));
    assert.deepEqual(pool.uneven, { to: v4(2), isUnused: false, users: [0, 1, 2] });
    pool.assign(1, v4(2));
    assert.equal(pool.uneven, undefined);
    assert.deepEqual([pool.get(0), pool.get(1), pool.get(2), pool.get(3)], [v4(1), v4(2), v4(1), v4(2)]);
    pool.assign(0, v4(7));
    assert.deepEqual(pool.get(0), v4(1));
  });

  it('counts an address that is listed twice once', () => {
    const pool = afterAnOutage([v4(1), v4(2)], [v4(2)]);
    pool.assign(0, v4(2));
    pool.assign(1, v4(2));
    assert.equal(pool.uneven, undefined);
    const alone = afterAnOutage([v4(1), v4(1)], []);
    assert.equal(alone.uneven, undefined);
  });

  it('is none where connections have addresses of their own', () => {
    const pool = new AddressPool([[v4(1), v4(2), v4(3)], []], {
      version: 'auto',
      share: false,
      random: () => 0,
      nowMs: () => 0,
    });
    pool.get(0);
    assert.equal(pool.uneven, undefined);
  });
});
