import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type SeededRandom, seededRandom } from '../../../test/support/seeded-random.ts';
import { formatPrefix, maskAddress, type Prefix, parsePrefix, prefixContains } from '../../net/address/prefix.ts';
import { explainBlock, findOverlaps } from './route-questions.ts';

interface Route {
  readonly network: string;
  readonly virtual_network_id: string;
}

/** A world of 256 addresses, small enough to ask about each: 10.0.0.0/24, and fd00::/120. */
const worlds = ['10.0.0.0/24', 'fd00::/120'].map(text => parsePrefix(text) ?? assert.fail());

function addressesOf(block: Prefix): Uint8Array[] {
  const world = worlds.find(one => one.bytes.length === block.bytes.length) ?? assert.fail();
  return Array.from({ length: 256 }, (_, last) => {
    const address = Uint8Array.from(world.bytes);
    address[address.length - 1] = last;
    return address;
  }).filter(address => prefixContains(block, address));
}

function randomBlock(random: SeededRandom): Prefix {
  const world = worlds[random.below(10) < 7 ? 0 : 1] ?? assert.fail();
  const bits = world.bits + random.below(9);
  const address = Uint8Array.from(world.bytes);
  address[address.length - 1] = random.below(256);
  return { bytes: maskAddress(address, bits), bits };
}

function prefixOf(route: Route): Prefix {
  return parsePrefix(route.network) ?? assert.fail(route.network);
}

/** By looking at every route for every address. */
function naiveRoute(address: Uint8Array, routes: readonly Route[], networkId: string): Route | undefined {
  return routes
    .filter(route => route.virtual_network_id === networkId && prefixContains(prefixOf(route), address))
    .toSorted((a, b) => prefixOf(b).bits - prefixOf(a).bits)[0];
}

describe('questions about routes', () => {
  it('are answered as a look at every address answers them', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = seededRandom(seed);
      const known = new Map<string, Route>();
      for (let count = random.below(12); count > 0; count -= 1) {
        const route = {
          network: formatPrefix(randomBlock(random)),
          virtual_network_id: random.below(2) === 0 ? 'a' : 'b',
        };
        known.set(`${route.network} ${route.virtual_network_id}`, route);
      }
      const routes = [...known.values()];
      const block = randomBlock(random);
      const answers = new Map(explainBlock(block, routes).map(answer => [answer.networkId, answer]));
      for (const networkId of ['a', 'b']) {
        const answer = answers.get(networkId);
        const inside = (answer?.inside ?? []).toSorted((a, b) => prefixOf(b).bits - prefixOf(a).bits);
        for (const address of addressesOf(block)) {
          const expected = naiveRoute(address, routes, networkId);
          const found = inside.find(route => prefixContains(prefixOf(route), address)) ?? answer?.covering;
          assert.deepEqual(found, expected, `seed ${seed}`);
          const isOpen = (answer?.uncovered ?? []).some(text =>
            prefixContains(parsePrefix(text) ?? assert.fail(), address),
          );
          if (answer !== undefined) assert.equal(isOpen, expected === undefined, `seed ${seed}`);
        }
      }
      const pairs = findOverlaps(routes).map(({ outer, inner }) =>
        [outer, inner].map(one => routes.indexOf(one)).sort(),
      );
      const naive = routes.flatMap((left, at) =>
        routes.slice(at + 1).flatMap((right, offset) => {
          const addresses = addressesOf(prefixOf(left));
          const meet = addresses.some(address => prefixContains(prefixOf(right), address));
          return meet ? [[at, at + 1 + offset].sort()] : [];
        }),
      );
      assert.deepEqual(pairs.map(String).sort(), naive.map(String).sort(), `seed ${seed}`);
    }
  });

  it('name the largest blocks that lead nowhere', () => {
    const routes = [{ network: '10.0.0.0/26' }, { network: '10.0.0.192/27' }, { network: '10.0.0.255' }];
    const [answer] = explainBlock(parsePrefix('10.0.0.0/24') ?? assert.fail(), routes);
    assert.deepEqual(answer?.uncovered, [
      ...['10.0.0.64/26', '10.0.0.128/26', '10.0.0.224/28', '10.0.0.240/29', '10.0.0.248/30'],
      ...['10.0.0.252/31', '10.0.0.254/32'],
    ]);
    assert.equal(answer?.covering, undefined);
  });

  it('are answered for ten thousand routes in no time', () => {
    const routes = Array.from({ length: 10_000 }, (_, at) => ({ network: `10.${at >> 8}.${at & 255}.0/24` }));
    const started = performance.now();
    assert.equal(findOverlaps([{ network: '10.0.0.0/8' }, ...routes]).length, 10_000);
    assert.equal(explainBlock(parsePrefix('10.0.0.0/8') ?? assert.fail(), routes)[0]?.inside.length, 10_000);
    assert.ok(performance.now() - started < 5_000);
  });
});
