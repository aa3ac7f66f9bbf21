import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { isPosternError } from '../../errors/error.ts';
import {
  decodeUdpHeader,
  encodeReply,
  encodeUdpHeader,
  readCredentials,
  readGreeting,
  readRequest,
  type SocksRequest,
} from './codec.ts';

/** A stream that gives `bytes` one at a time and ends. */
function drip(bytes: Uint8Array): PassThrough {
  const stream = new PassThrough();
  for (const byte of bytes) stream.write(Uint8Array.of(byte));
  stream.end();
  return stream;
}
const ignore = (): void => undefined;
const request = (...bytes: number[]): Promise<SocksRequest> => readRequest(drip(Uint8Array.from(bytes)), ignore);
const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');
const name = Buffer.from('db.internal');

describe('SOCKS codec', () => {
  it('reads greetings, credentials and requests byte by byte', async () => {
    assert.deepEqual([...(await readGreeting(drip(Uint8Array.of(5, 2, 0, 2))))], [0, 2]);
    assert.deepEqual([...(await readGreeting(drip(Uint8Array.of(5, 0))))], []);
    const credentials = Buffer.from('\x01\x06office\x03key', 'latin1');
    assert.deepEqual(await readCredentials(drip(credentials)), { user: 'office', password: 'key' });
    assert.deepEqual(await readCredentials(drip(Uint8Array.of(1, 0, 0))), { user: '', password: '' });
    const address = Uint8Array.of(10, 1, 2, 3);
    assert.deepEqual(await request(5, 1, 0, 1, 10, 1, 2, 3, 1, 187), {
      command: 1,
      host: { kind: 'address', address },
      port: 443,
    });
    const mapped = [...new Uint8Array(10), 255, 255, ...address];
    assert.deepEqual((await request(5, 3, 0, 4, ...mapped, 0, 0)).host, {
      kind: 'address',
      address: Uint8Array.from(mapped),
    });
    assert.deepEqual(await request(5, 1, 0, 3, name.length, ...name, 0, 80), {
      command: 1,
      host: { kind: 'name', name: 'db.internal' },
      port: 80,
    });
    assert.deepEqual((await request(5, 1, 0, 3, 4, ...Buffer.from('a b\xff', 'latin1'), 0, 80)).host, {
      kind: 'name',
      name: 'a b\xff',
    });
  });

  it('refuses other versions, unknown address types and every cut message', async () => {
    await assert.rejects(() => readGreeting(drip(Uint8Array.of(4, 1, 0))), malformed);
    await assert.rejects(() => readCredentials(drip(Uint8Array.of(5, 0, 0))), malformed);
    await assert.rejects(() => request(4, 1, 0, 1, 10, 1, 2, 3, 0, 80), malformed);
    await assert.rejects(() => request(5, 1, 0, 3, 0, 0, 80), malformed);
    let told = 0;
    const unknown = drip(Uint8Array.of(5, 1, 0, 2, 1, 1));
    await assert.rejects(
      () =>
        readRequest(unknown, () => {
          told += 1;
        }),
      malformed,
    );
    assert.equal(told, 1);
    const whole = [5, 1, 0, 3, name.length, ...name, 0, 80];
    for (let cut = 0; cut < whole.length; cut += 1)
      await assert.rejects(() => request(...whole.slice(0, cut)), malformed);
    const greeting = [5, 3, 0, 1, 2];
    for (let cut = 0; cut < greeting.length; cut += 1)
      await assert.rejects(() => readGreeting(drip(Uint8Array.from(greeting.slice(0, cut)))), malformed);
    const credentials = [1, 2, 65, 66, 2, 67, 68];
    for (let cut = 0; cut < credentials.length; cut += 1)
      await assert.rejects(() => readCredentials(drip(Uint8Array.from(credentials.slice(0, cut)))), malformed);
  });

  it('writes replies and headers of datagrams', () => {
    assert.equal(encodeReply(0, Uint8Array.of(127, 0, 0, 1), 1080).toString('hex'), '050000017f0000010438');
    assert.equal(encodeReply(2).toString('hex'), '05020001000000000000');
    const six = Uint8Array.from({ length: 16 }, (_, index) => index);
    assert.equal(encodeReply(0, six, 1).length, 22);
    for (const address of [Uint8Array.of(10, 0, 0, 1), six]) {
      const header = encodeUdpHeader(address, 53);
      const decoded = decodeUdpHeader(Buffer.concat([header, Buffer.from('payload')]));
      assert.deepEqual(decoded, { host: { kind: 'address', address }, port: 53, bytes: header.length });
    }
    const named = Buffer.from([0, 0, 0, 3, name.length, ...name, 0, 53]);
    assert.deepEqual(decodeUdpHeader(named), {
      host: { kind: 'name', name: 'db.internal' },
      port: 53,
      bytes: named.length,
    });
  });

  it('refuses fragments, cut and random datagrams', () => {
    const whole = Buffer.from([0, 0, 0, 3, name.length, ...name, 0, 53]);
    for (let cut = 0; cut < whole.length; cut += 1) assert.equal(decodeUdpHeader(whole.subarray(0, cut)), undefined);
    assert.equal(decodeUdpHeader(Buffer.from([0, 0, 1, 1, 10, 0, 0, 1, 0, 53])), undefined);
    assert.equal(decodeUdpHeader(Buffer.from([0, 0, 0, 2, 10, 0, 0, 1, 0, 53])), undefined);
    assert.equal(decodeUdpHeader(Buffer.from([0, 0, 0, 3, 0, 0, 53])), undefined);
    const random = seededRandom(4);
    for (let round = 0; round < 5_000; round += 1) {
      const datagram = random.bytes(random.below(64));
      if (random.below(2) === 0 && datagram.length > 3) datagram.fill(0, 0, 3);
      const header = decodeUdpHeader(datagram);
      assert.ok(header === undefined || header.bytes <= datagram.length);
    }
  });
});
