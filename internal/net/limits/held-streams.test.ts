import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { HeldStreams } from './held-streams.ts';

class Stalled {
  error: unknown;
  destroy(error: Error): void {
    this.error = error;
  }
}

describe('held streams', () => {
  it('gives up the stream whose reader stopped longest ago, once the budget is used up', () => {
    const held = new HeldStreams(300);
    let told = 0;
    held.subscribe(() => {
      told += 1;
    });
    const streams = [new Stalled(), new Stalled(), new Stalled(), new Stalled()] as const;
    const [first, second, third, fourth] = streams;
    for (const stream of [first, second, third]) held.hold(stream, 100);
    assert.deepEqual([held.bytes, held.givenUp], [300, 0]);
    // A slow reader goes on now and then, and stands behind those who never do.
    held.release(first);
    held.hold(first, 100);
    held.hold(fourth, 100);
    assert.deepEqual([held.bytes, held.givenUp, told], [300, 1, 1]);
    assert.ok(isPosternError(second.error, 'stream.reset'));
    assert.deepEqual([first.error, third.error, fourth.error], [undefined, undefined, undefined]);
  });

  it('gives the budget back when readers go on or streams end', () => {
    const held = new HeldStreams(300);
    const one = new Stalled();
    held.hold(one, 100);
    held.hold(one, 100);
    assert.equal(held.bytes, 100, 'a stream counts once');
    held.release(one);
    held.release(one);
    assert.deepEqual([held.bytes, held.givenUp], [0, 0]);
  });
});
