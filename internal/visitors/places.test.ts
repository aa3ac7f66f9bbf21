import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLogger } from '../telemetry/logger.ts';
import { Places } from './places.ts';

function open() {
  const places = new Places(silentLogger(), {
    connections: { total: 6, perAddress: 3 },
    requests: { total: 3, perAddress: 2 },
  });
  const closed: string[] = [];
  const admit = (name: string, address: string) => places.admit(address, () => void closed.push(name));
  return { places, closed, admit };
}

it('lets an address keep its share only, and takes the connection that waits first for a new one', () => {
  const { places, closed, admit } = open();
  const [first] = [admit('a1', '192.0.2.1'), admit('a2', '192.0.2.1'), admit('a3', '::ffff:192.0.2.1')];
  first?.place.busy();
  assert.ok(admit('a4', '192.0.2.1') !== undefined);
  assert.deepEqual(closed, ['a2']);
  for (const name of ['b1', 'b2', 'b3']) admit(name, `2001:db8::${name}`)?.place.busy();
  assert.equal(places.connections, 6);
  assert.equal(admit('b4', '2001:db8::ffff:b4'), undefined);
  assert.deepEqual(
    [...places.refused],
    [
      ['gave-way', 1],
      ['connections', 1],
    ],
  );
});

it('lets newcomers in while any connection waits, whoever holds them', () => {
  const { places, closed, admit } = open();
  const held = Array.from({ length: 6 }, (_, index) => admit(`x${index}`, `192.0.2.${index}`));
  held[0]?.place.busy();
  held[0]?.place.waiting();
  assert.ok(admit('new', '198.51.100.1') !== undefined);
  assert.deepEqual(closed, ['x1']);
  // What has given way has left.
  held[1]?.leave();
  held[1]?.place.waiting();
  assert.equal(places.connections, 6);
  for (const one of held) one?.place.busy();
  assert.ok(admit('newer', '198.51.100.2') !== undefined);
  assert.deepEqual(closed, ['x1', 'new']);
  held[2]?.leave();
  assert.equal(places.connections, 5);
});

it('bounds the requests of an address and of all', () => {
  const { places } = open();
  const first = places.admitRequest('2001:db8::1');
  assert.ok(first !== undefined && places.admitRequest('2001:db8::2') !== undefined);
  assert.equal(places.admitRequest('2001:db8::3'), undefined);
  assert.ok(places.admitRequest('192.0.2.1') !== undefined);
  assert.equal(places.admitRequest('192.0.2.2'), undefined);
  first();
  assert.ok(places.admitRequest('192.0.2.2') !== undefined);
  assert.equal(places.refused.get('requests'), 2);
});
