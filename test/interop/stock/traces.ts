// Traces: an edge that exports them asks the connector for its part, which comes back in a header in cloudflared's form.

import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { json } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { listen } from '../../support/origin-server.ts';
import { until } from '../../support/wait.ts';
import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab } from './lab.ts';
import type { Scenario, Stage } from './scenario.ts';
import { visit } from './visit.ts';

export const traceScenarios: readonly Scenario[] = (['http2', 'quic'] as const).map(protocol => ({
  name: `a trace over ${protocol}`,
  run: stage => trace(stage, protocol),
}));

interface ReportedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

async function trace(stage: Stage, protocol: 'http2' | 'quic'): Promise<void> {
  const spans: ReportedSpan[] = [];
  const collector = await listen(stage, createServer(collect(spans)));
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector}`, OTEL_BSP_SCHEDULE_DELAY: '20' };
  const lab = await Lab.open(stage, { edgeEnv: env });
  const { host, token } = await lab.makeTunnel('app');
  const origin = await openVisitedOrigin(stage);
  await lab.run({ protocol, token, runFlags: ['--url', `http://127.0.0.1:${origin}`] });
  const { headers, status } = await visit(lab, host, '/');
  assert.equal(status, 200);
  assert.equal(headers['cf-int-cloudflared-tracing'], undefined);
  const of = (service: string) => spans.filter(span => span.service === service);
  await until('spans of both ends', () => of('postern-edge').length > 0 && of('connector').length > 0);
  const [edge] = of('postern-edge');
  for (const { parentSpanId, traceId } of of('connector'))
    assert.deepEqual([traceId, parentSpanId], [edge?.traceId, edge?.spanId]);
}

function collect(spans: ReportedSpan[]): RequestListener {
  return (request, response) => {
    void json(request.pipe(createGunzip())).then(body => {
      const { resourceSpans } = body as ExportedTraces;
      for (const { resource, scopeSpans } of resourceSpans)
        for (const span of scopeSpans.flatMap(scope => scope.spans)) {
          const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
          spans.push({ ...span, service });
        }
      response.end('{}');
    });
  };
}

interface ExportedTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<ReportedSpan, 'service'>[] }[];
  }[];
}
