// What the edge believes of the spans that a connector reports: connectors are others' programs.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { registerBare } from '../../../test/support/bare-connector.ts';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { until } from '../../../test/support/wait.ts';
import { headerValue } from '../../net/http/header-list.ts';
import { encodeTracesData } from '../../telemetry/tracing/otlp-protobuf.ts';
import { createSampler, type SamplerName } from '../../telemetry/tracing/sampler.ts';
import type { Span } from '../../telemetry/tracing/span.ts';
import { parseEdgeTrace, type TraceContext } from '../../telemetry/tracing/trace-context.ts';
import { createTracer } from '../../telemetry/tracing/tracer.ts';

const foreignTrace = 'f'.repeat(32);

/** An edge that traces, and a connector that answers with what `report` makes of the context it was asked with. */
async function openWorld(t: TestContext, report: (asked: TraceContext) => string, sampler: SamplerName = 'always_on') {
  const spans: Span[] = [];
  const exporter = {
    add: (span: Span) => void spans.push(span),
    metrics: [],
    [Symbol.asyncDispose]: async () => undefined,
  };
  const tracer = createTracer(createSampler({ name: sampler, ratio: 1 }), exporter);
  const world = await EdgeWorld.open(t, { tracer });
  const tunnel = await world.makeTunnel();
  const asked: (string | undefined)[] = [];
  await registerBare(t, world, tunnel, incoming => {
    const text = headerValue(incoming.head.headers, 'cf-trace-id');
    asked.push(text);
    const context = parseEdgeTrace(text ?? '') ?? { traceId: foreignTrace, spanId: '1'.repeat(16), isSampled: true };
    incoming.body.resume();
    incoming.respond({ status: 200, headers: [], spans: report(context) }, { endStream: true });
  });
  const visit = (headers: Record<string, string> = {}) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const call = request(
        { port: world.httpPort, headers: { host: tunnel.host, ...headers }, agent: false },
        response => {
          response.resume().once('end', () => resolve({ status: response.statusCode, ...response.headers }));
        },
      );
      call.once('error', reject).end();
    });
  return { asked, spans, tunnel, visit };
}

const reported = (traceId: string, spanId: string, parentId: string, more: Partial<Span> = {}): Span => ({
  ...{ traceId, spanId, parentId, name: 'reported', kind: 1, startMs: 1, endMs: 2, attributes: {}, events: [] },
  ...more,
});
const encode = (spans: readonly Span[]): string =>
  encodeTracesData(spans, { resource: { 'service.name': 'bank' }, version: '' }).toString('base64');

describe('spans that a connector reports', () => {
  it('are taken into the trace of their request alone, as those of a connector', async t => {
    const { spans, tunnel, visit } = await openWorld(t, ({ spanId, traceId }) =>
      encode([
        reported(foreignTrace, 'a'.repeat(16), spanId),
        reported(traceId, spanId, '', { name: 'the edge itself' }),
        reported(traceId, 'b'.repeat(16), 'c'.repeat(16), {
          attributes: { 'postern.tunnel_id': 'another', 'x"\n': '<y>' },
        }),
        reported(traceId, 'd'.repeat(16), 'b'.repeat(16)),
      ]),
    );
    const answer = await visit();
    assert.equal(answer['cf-int-cloudflared-tracing'], undefined);
    await until('three spans', () => spans.length === 3);
    const edge = spans.find(span => span.service === undefined) ?? assert.fail();
    const others = spans.filter(span => span !== edge);
    assert.deepEqual(
      others.map(({ parentId, service, spanId, traceId }) => [traceId, spanId, parentId, service]),
      [
        [edge.traceId, 'b'.repeat(16), edge.spanId, 'connector'],
        [edge.traceId, 'd'.repeat(16), 'b'.repeat(16), 'connector'],
      ],
    );
    assert.equal(others[0]?.attributes['postern.tunnel_id'], tunnel.id);
  });

  it('that are broken, or too many, harm no request', async t => {
    const reports: ((asked: TraceContext) => string)[] = [
      () => 'no base64 %%%',
      () => Buffer.from('ffffffff', 'hex').toString('base64'),
      ({ spanId, traceId }) =>
        encode(Array.from({ length: 30 }, (_, index) => reported(traceId, `${index + 1}`.padStart(16, '0'), spanId))),
    ];
    let next = 0;
    const { spans, visit } = await openWorld(t, asked => reports[next++ % reports.length]?.(asked) ?? '');
    for (const _ of reports) assert.equal((await visit()).status, 200);
    await until('three spans of the edge', () => spans.filter(span => span.service === undefined).length === 3);
    assert.equal(spans.filter(span => span.service !== undefined).length, 20);
  });

  it('are nothing where the edge did not ask', async t => {
    const { asked, spans, visit } = await openWorld(
      t,
      ({ spanId, traceId }) => encode([reported(traceId, 'b'.repeat(16), spanId)]),
      'always_off',
    );
    // A visitor cannot ask in its place.
    const answer = await visit({ 'cf-trace-id': '1:1:0:1', Cf_Trace_Id: '1:1:0:1' });
    assert.deepEqual(
      [answer.status, answer['cf-int-cloudflared-tracing'], asked, spans],
      [200, undefined, [undefined], []],
    );
  });
});
