// One trace across edge, connector and origin, as a collector of another make reads it, from running programs.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { listen } from '../support/origin-server.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';
import { startCollector } from './otlp-collector.ts';

/** Exports soon, so that nobody waits. */
const soon = { OTEL_BSP_SCHEDULE_DELAY: '20' };
const visitorTrace = '4bf92f3577b34da6a3ce929d0e0e4736';
const visitorSpan = '00f067aa0ba902b7';

async function openWorld(t: TestContext, edgeEnv: Readonly<Record<string, string>>) {
  /** `traceparent`, `tracestate` and `cf-trace-id` as the origin got them. */
  const seen: (string | undefined)[][] = [];
  const world = await TunnelWorld.open(t, {
    edgeEnv,
    origin: (request, response) => {
      const { headers, url } = request;
      if (url !== '/ready')
        seen.push(['traceparent', 'tracestate', 'cf-trace-id'].map(name => headers[name]?.toString()));
      // What the tunnel alone may say to its edge.
      response.setHeader('Cf-Int-Cloudflared-Tracing', 'CgA=');
      response.writeHead(url === '/sick' ? 500 : 200).end(`origin ${url}`);
    },
  });
  return { world, seen };
}

describe('a trace', () => {
  for (const protocol of ['quic', 'http2'] as const) {
    it(`goes from the visitor over edge and connector to the origin, over ${protocol}`, async t => {
      const collector = await startCollector(t);
      const env = {
        ...soon,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key=top%20secret',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      };
      const { world, seen } = await openWorld(t, env);
      const connector = await world.connect({
        protocol,
        env: { ...env, ...(protocol === 'quic' ? { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' } : {}) },
      });
      const visitor = {
        traceparent: `00-${visitorTrace}-${visitorSpan}-01`,
        tracestate: 'a=1',
        'cf-trace-id': '1:1:0:1',
      };
      assert.equal((await world.get('/one?token=hidden', visitor)).status, 200);
      const [edge, hop] = [await collector.next('postern-edge'), await collector.next('postern-connector')];
      assert.deepEqual([edge.traceId, edge.parentId], [visitorTrace, visitorSpan]);
      assert.deepEqual([hop.traceId, hop.parentId], [visitorTrace, edge.spanId]);
      assert.deepEqual(seen[0], [`00-${visitorTrace}-${hop.spanId}-01`, 'a=1', undefined]);
      assert.deepEqual([edge.name, hop.name, edge.spanKind, hop.spanKind], ['GET app.localhost', 'GET', 2, 2]);
      for (const span of [edge, hop]) {
        assert.deepEqual(
          [span.path, span.encoding, span.key, span.scope],
          ['/v1/traces', 'gzip', 'top secret', 'postern'],
        );
        assert.equal(span.resource['deployment.environment.name'], 'test');
        assert.equal(span.attributes['http.response.status_code'], 200);
        assert.equal(span.attributes['url.path'], '/one');
        assert.equal(span.attributes['http.response.body.size'], 'origin /one?token=hidden'.length);
        assert.ok(span.tookNs > 0 && span.tookNs < 60e9, String(span.tookNs));
        assert.ok(Math.abs(span.startNs / 1e6 - Date.now()) < 60_000);
        assert.equal(span.error, null);
      }
      assert.equal(edge.attributes['postern.request_id'], hop.attributes['postern.request_id']);
      assert.deepEqual([edge.kind, hop.kind].includes('application/x-protobuf'), protocol === 'quic');
      assert.deepEqual(edge.events, ['handed to a connection', 'head of the answer']);

      assert.equal((await world.get('/sick')).status, 500);
      const sick = await collector.next('postern-edge');
      assert.deepEqual([sick.parentId, sick.error], ['', 'status 500']);
      assert.notEqual(sick.traceId, visitorTrace);
      assert.equal((await collector.next('postern-connector')).parentId, sick.spanId);
      for (const program of [world.edge, connector]) assert.doesNotMatch(program.log(), /top.secret/);
    });

    it(`has the span of a connector that exports nothing, over ${protocol}`, async t => {
      const collector = await startCollector(t);
      const { world, seen } = await openWorld(t, {
        ...soon,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.endpoint}/mine`,
      });
      await world.connect({ protocol });
      assert.equal((await world.get('/one')).status, 200);
      const [edge, hop] = [await collector.next('postern-edge'), await collector.next('connector')];
      assert.deepEqual([edge.parentId, hop.traceId, hop.parentId, hop.path], ['', edge.traceId, edge.spanId, '/mine']);
      assert.deepEqual(seen[0], [`00-${edge.traceId}-${hop.spanId}-01`, undefined, undefined]);
      assert.match(String(hop.attributes['postern.origin_service']), /^http:\/\/127\.0\.0\.1:/);
    });
  }

  it('is of the connector alone where the edge exports none, and nobody else is told', async t => {
    const collector = await startCollector(t);
    const { world, seen } = await openWorld(t, {});
    await world.connect({
      env: { ...soon, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, OTEL_SERVICE_NAME: 'mine' },
    });
    assert.equal((await world.get('/one', { traceparent: `00-${visitorTrace}-${visitorSpan}-01` })).status, 200);
    const span = await collector.next('mine');
    assert.deepEqual([span.traceId, span.parentId], [visitorTrace, visitorSpan]);
    assert.equal(seen[0]?.[0], `00-${visitorTrace}-${span.spanId}-01`);
  });

  it('passes untouched where nobody exports', async t => {
    const { world, seen } = await openWorld(t, {
      OTEL_SDK_DISABLED: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    });
    await world.connect({});
    const text = `00-${visitorTrace}-${visitorSpan}-01`;
    assert.equal((await world.get('/one', { traceparent: text, 'cf-trace-id': '1:1:0:1' })).status, 200);
    assert.deepEqual(seen[0], [text, undefined, undefined]);
    assert.doesNotMatch(world.edge.log(), /trace/i);
  });

  it('that is not sampled reaches nobody, and says so to the origin', async t => {
    const collector = await startCollector(t);
    const env = { ...soon, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint };
    const { world, seen } = await openWorld(t, { ...env, OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
    await world.connect({ env });
    await world.get('/off');
    assert.match(seen[0]?.[0] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    await world.get('/on', { traceparent: `00-${visitorTrace}-${visitorSpan}-01` });
    for (const service of ['postern-edge', 'postern-connector'])
      assert.equal((await collector.next(service)).attributes['url.path'], '/on');
  });
});

describe('a collector', () => {
  it('that is busy gets the same spans again', async t => {
    const collector = await startCollector(t, [503, 429]);
    const { world } = await openWorld(t, { ...soon, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
    await world.connect({});
    await world.get('/one');
    await collector.refused();
    await collector.refused();
    assert.equal((await collector.next('postern-edge')).attributes['url.path'], '/one');
  });

  it('that is dead, or never answers, harms no request and no stop', async t => {
    const mute = await listen(
      t,
      createServer(socket => void socket.on('error', () => undefined).resume()),
    );
    for (const port of [1, mute]) {
      const env = { ...soon, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_EXPORT_TIMEOUT: '200' };
      const { world } = await openWorld(t, { ...env, OTEL_BSP_MAX_QUEUE_SIZE: '4' });
      const connector = await world.connect({ env });
      const statuses = await Promise.all(Array.from({ length: 32 }, async () => (await world.get('/one')).status));
      assert.deepEqual(new Set(statuses), new Set([200]));
      for (const program of [world.edge, connector]) {
        await program.logged(/WRN Traces cannot be exported/);
        program.child.kill('SIGTERM');
        assert.equal(await program.exited, 0);
      }
      await until('one warning', () => world.edge.log().match(/Traces cannot/g)?.length === 1);
    }
  });
});
