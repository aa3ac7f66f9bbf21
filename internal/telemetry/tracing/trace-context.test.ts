import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSampler } from './sampler.ts';
import {
  childContext,
  formatEdgeTrace,
  formatTraceparent,
  parseEdgeTrace,
  parseTraceparent,
  type TraceContext,
} from './trace-context.ts';
import { readTraceparent, shownMethod, shownPath, withTraceparent } from './trace-headers.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const context: TraceContext = { traceId, spanId, isSampled: true };

describe('the context of a trace', () => {
  it('is read from traceparent, and only from what is one', () => {
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), context);
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-02`), { ...context, isSampled: false });
    assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-03-what the future has`), context);
    for (const text of [
      '',
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      `00-${traceId}-${spanId}-1`,
      `00-${traceId}${spanId}-01`,
      `cc-${traceId}-${spanId}-01.more`,
      ` 00-${traceId}-${spanId}-01`,
      `00-${traceId}-${spanId}-01\n`,
    ])
      assert.equal(parseTraceparent(text), undefined, text);
    assert.deepEqual(parseTraceparent(formatTraceparent(context)), context);
    assert.equal(formatTraceparent({ ...context, isSampled: false }), `00-${traceId}-${spanId}-00`);
  });

  it('is read from what an edge sends, with zeros left out', () => {
    assert.deepEqual(parseEdgeTrace(formatEdgeTrace(context)), context);
    assert.deepEqual(parseEdgeTrace('AB:1:0:1'), {
      traceId: 'ab'.padStart(32, '0'),
      spanId: '1'.padStart(16, '0'),
      isSampled: true,
    });
    assert.equal(parseEdgeTrace(`${traceId}:${spanId}:0:2`)?.isSampled, false);
    for (const text of [
      '',
      '1:1:0',
      '0:1:0:1',
      '1:0:0:1',
      'x:1:0:1',
      `1${traceId}:1:0:1`,
      `1:1${spanId}:0:1`,
      '1:1:0:1:1',
    ])
      assert.equal(parseEdgeTrace(text), undefined, text);
  });

  it('makes children of its trace, and new traces', () => {
    const child = childContext(context, true);
    assert.equal(child.traceId, traceId);
    assert.match(child.spanId, /^[0-9a-f]{16}$/);
    const ids = new Set(Array.from({ length: 1_000 }, () => formatTraceparent(childContext(undefined, false))));
    assert.equal(ids.size, 1_000);
    for (const text of ids) assert.notEqual(parseTraceparent(text), undefined, text);
  });

  it('takes the place of the one in the headers', () => {
    const headers = ['Host', 'a', 'TraceParent', `00-${traceId}-${spanId}-01`, 'tracestate', 'a=1'];
    assert.deepEqual(readTraceparent(headers), context);
    assert.equal(readTraceparent([...headers, 'traceparent', `00-${traceId}-${spanId}-00`]), undefined);
    const next = childContext(context, true);
    const told = ['traceparent', formatTraceparent(next)];
    assert.deepEqual(withTraceparent(headers, next, false), ['Host', 'a', 'tracestate', 'a=1', ...told]);
    assert.deepEqual(withTraceparent(headers, next, true), ['Host', 'a', ...told]);
  });

  it('is shown with words of which there are few, and without secrets', () => {
    assert.deepEqual([shownMethod('GET'), shownMethod('MADE-UP')], ['GET', 'HTTP']);
    assert.equal(shownPath('/a/b?token=1'), '/a/b');
    assert.equal(shownPath(`/${'a'.repeat(5_000)}`).length, 1_024);
  });
});

describe('a sampler', () => {
  it('follows the parent where it is told to', () => {
    const off = { ...context, isSampled: false };
    const decide = (name: Parameters<typeof createSampler>[0]['name'], parent: TraceContext | undefined) =>
      createSampler({ name, ratio: 1 })(traceId, parent);
    assert.deepEqual([decide('always_on', off), decide('always_off', context)], [true, false]);
    assert.deepEqual([decide('parentbased_always_on', off), decide('parentbased_always_off', context)], [false, true]);
    assert.deepEqual(
      [decide('parentbased_always_on', undefined), decide('parentbased_always_off', undefined)],
      [true, false],
    );
  });

  it('takes the share it is told, of any traces, and the same ones everywhere', () => {
    const [one, other] = [0, 0].map(() => createSampler({ name: 'traceidratio', ratio: 0.25 }));
    const ids = Array.from({ length: 20_000 }, () => childContext(undefined, true).traceId);
    const taken = ids.filter(id => one?.(id, context));
    assert.ok(Math.abs(taken.length - 5_000) < 400, String(taken.length));
    assert.deepEqual(
      taken,
      ids.filter(id => other?.(id, undefined)),
    );
    for (const ratio of [0, 1])
      assert.equal(
        ids.filter(id => createSampler({ name: 'traceidratio', ratio })(id, undefined)).length,
        ratio * 20_000,
      );
  });
});
