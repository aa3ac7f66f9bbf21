import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { listen } from '../../test/support/origin-server.ts';
import { httpService, proxyTo } from '../../test/support/proxied.ts';
import { decodeTracesData } from '../telemetry/tracing/otlp-protobuf.ts';
import { beginTrace } from './request-trace.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

async function openWorld(t: TestContext) {
  const seen: (string | undefined)[] = [];
  const port = await listen(
    t,
    createServer((request, response) => {
      seen.push(request.headers.traceparent?.toString());
      response.end('ok');
    }),
  );
  const proxy = await proxyTo(httpService(port));
  t.after(() => proxy.close());
  const ask = async (headers: readonly string[]) => (await proxy.request({ headers }).response).spans;
  return { ask, seen };
}

describe('the trace of a request at a connector that exports none', () => {
  it('is reported to an edge that asks, in the form that it knows', async t => {
    const { ask, seen } = await openWorld(t);
    const spans = decodeTracesData(
      Buffer.from((await ask(['Cf-Trace-Id', `${traceId}:${spanId.slice(2)}:0:1`])) ?? '', 'base64'),
    );
    const [span] = spans;
    assert.deepEqual([spans.length, span?.traceId, span?.parentId, span?.name], [1, traceId, spanId, 'GET']);
    assert.equal(span?.attributes['http.response.status_code'], 200);
    assert.deepEqual(seen, [`00-${traceId}-${span?.spanId}-01`]);
  });

  it('is none where nobody asks, where what asks is malformed, and where it is not sampled', async t => {
    const { ask, seen } = await openWorld(t);
    const traceparent = `00-${traceId}-${spanId}-01`;
    for (const trace of [undefined, '', 'x', `${traceId}:${spanId}:0:0`, `${traceId}:${spanId}:0`, '0:0:0:1'])
      assert.equal(
        await ask(['traceparent', traceparent, ...(trace === undefined ? [] : ['cf-trace-id', trace])]),
        undefined,
        `asked with ${trace}`,
      );
    assert.deepEqual(new Set(seen), new Set([traceparent]));
  });

  it('costs no memory where nobody asks', () => {
    const head = {
      kind: 'http',
      ...{ method: 'GET', scheme: 'http', host: 'a', path: '/', bodyLength: 0 },
      headers: ['Host', 'a', 'Accept', '*/*', 'User-Agent', 'x', 'Cf-Connecting-Ip', '::1', 'Cookie', 'a=b'],
    } as const;
    const place = { ruleIndex: 0, service: 'x' };
    const run = (trace: () => unknown): number => {
      for (let index = 0; index < 10_000; index += 1) trace();
      const before = process.memoryUsage().heapUsed;
      for (let index = 0; index < 20_000; index += 1) trace();
      return process.memoryUsage().heapUsed - before;
    };
    const off = run(() => beginTrace(undefined, head, place));
    assert.ok(off < 200_000, `${off} bytes`);
  });
});
