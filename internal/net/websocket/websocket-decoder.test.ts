import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientFrame } from '../../../test/support/websocket-client.ts';
import { isPosternError } from '../../errors/error.ts';
import { WebSocketDecoder } from './websocket-decoder.ts';

function decode(pieces: readonly Buffer[], wanted: 'binary' | 'text' = 'binary') {
  const seen = { data: Buffer.alloc(0) as Buffer, pings: [] as string[], closes: [] as string[] };
  const decoder = new WebSocketDecoder(wanted, {
    onData: bytes => {
      seen.data = Buffer.concat([seen.data, bytes]);
    },
    onPing: payload => void seen.pings.push(String(payload)),
    onClose: payload => void seen.closes.push(payload.toString('hex')),
  });
  for (const piece of pieces) decoder.feed(piece);
  return seen;
}

const long = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index & 0xff));
const stream = Buffer.concat([
  clientFrame(2, 'first '),
  clientFrame(9, 'ping'),
  clientFrame(1, 'text', { final: false }),
  clientFrame(10, 'pong'),
  clientFrame(0, ' more text'),
  clientFrame(2, long.subarray(0, 300), { final: false }),
  clientFrame(0, long.subarray(300)),
  clientFrame(2, ''),
  clientFrame(8, Buffer.from([0x03, 0xe8])),
]);
const binary = Buffer.concat([Buffer.from('first '), long]);

describe('WebSocket decoder', () => {
  it('gives the same for every way of cutting the input', () => {
    const whole = decode([stream]);
    assert.ok(binary.equals(whole.data));
    assert.deepEqual([whole.pings, whole.closes], [['ping'], ['03e8']]);
    assert.deepEqual(decode([...stream].map(byte => Buffer.from([byte]))), whole);
    for (let step = 2; step < 40; step += 7) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < stream.length; at += step) pieces.push(stream.subarray(at, at + step));
      assert.ok(binary.equals(decode(pieces).data), `pieces of ${step}`);
    }
    assert.equal(String(decode([stream], 'text').data), 'text more text');
  });

  it('leaves its input as it was', () => {
    const copy = Buffer.from(stream);
    decode([copy]);
    assert.ok(copy.equals(stream));
  });

  it('never does more than throw when bytes are flipped', () => {
    const start = stream.subarray(0, 400);
    for (let index = 0; index < start.length; index += 1) {
      for (const mask of [0x01, 0x0f, 0x70, 0x80, 0xff]) {
        const flipped = Buffer.from(start);
        flipped[index] = (flipped[index] ?? 0) ^ mask;
        try {
          assert.ok(decode([flipped]).data.length <= start.length);
        } catch (error) {
          assert.ok(isPosternError(error, 'protocol.malformed'));
        }
      }
    }
  });
});
