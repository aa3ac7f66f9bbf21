import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { json } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { createGunzip } from 'node:zlib';
import { listen } from '../../../test/support/origin-server.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger } from '../logger.ts';
import { type ExporterOptions, OtlpExporter } from './otlp-exporter.ts';
import type { Span } from './span.ts';

const span = (name: string): Span => ({
  ...{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', parentId: '', name },
  ...{ kind: 2, startMs: 1, endMs: 2, attributes: {}, events: [] },
});

/** A collector in this process: names of the spans of each request, and how it answers. */
class Collector {
  readonly batches: string[][] = [];
  running = 0;
  mostRunning = 0;
  answer: (response: ServerResponse) => void = response => void response.end('{}');

  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    void json(request.pipe(createGunzip())).then(body => {
      const { resourceSpans } = body as { resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[] };
      this.batches.push(
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(s => s.name))),
      );
      this.running -= 1;
      this.answer(response);
    });
  };
}

function open(t: TestContext, url: string, options: Partial<ExporterOptions> = {}): OtlpExporter {
  const exporter = new OtlpExporter({
    ...{ url: new URL(url), headers: {}, gzip: true, timeoutMs: 5_000, tls: {}, resource: {}, version: '' },
    ...{ format: 'json', maxQueue: 6, maxBatch: 3, delayMs: 60_000, exportTimeoutMs: 5_000 },
    logger: silentLogger(),
    ...options,
  });
  t.after(() => exporter[Symbol.asyncDispose]());
  return exporter;
}

function countsOf({ metrics }: OtlpExporter): Record<string, number> {
  const samples = metrics.flatMap(({ kind, read }) => (kind === 'counter' ? read() : []));
  return Object.fromEntries(samples.map(([labels, value]) => [String(labels.reason ?? 'exported'), value]));
}

describe('the exporter of spans', () => {
  it('sends full batches at once, one after the other, and the rest when it closes', async t => {
    const collector = new Collector();
    const held: (() => void)[] = [];
    collector.answer = response => void held.push(() => response.end('{}'));
    const port = await listen(t, createServer(collector.serve));
    const exporter = open(t, `http://127.0.0.1:${port}/v1/traces`);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) exporter.add(span(name));
    await until('the first batch', () => held.length === 1);
    assert.deepEqual(collector.batches, [['a', 'b', 'c']]);
    held.shift()?.();
    await until('the second batch', () => held.length === 1);
    const closed = exporter[Symbol.asyncDispose]();
    held.shift()?.();
    await until('the last batch', () => held.length === 1);
    held.shift()?.();
    await closed;
    assert.deepEqual(collector.batches, [['a', 'b', 'c'], ['d', 'e', 'f'], ['g']]);
    assert.equal(collector.mostRunning, 1);
    assert.deepEqual(countsOf(exporter), { exported: 7, full: 0, failed: 0, rejected: 0 });
    exporter.add(span('late'));
    assert.equal(countsOf(exporter).full, 1);
  });

  it('keeps as many as it may, and counts those that it drops', async t => {
    const collector = new Collector();
    collector.answer = () => undefined;
    const port = await listen(t, createServer(collector.serve));
    const exporter = open(t, `http://127.0.0.1:${port}/`, { exportTimeoutMs: 50 });
    for (let index = 0; index < 20; index += 1) exporter.add(span(String(index)));
    assert.equal(countsOf(exporter).full, 20 - 3 - 6);
    await until('the end of both batches', () => countsOf(exporter).failed === 9);
  });

  it('counts what the collector rejects, and follows it nowhere else', async t => {
    const collector = new Collector();
    const port = await listen(t, createServer(collector.serve));
    const exporter = open(t, `http://127.0.0.1:${port}/`, { maxBatch: 2, maxQueue: 2 });
    collector.answer = response => void response.end('{"partialSuccess":{"rejectedSpans":"1"}}');
    const send = async (): Promise<void> => {
      const before = collector.batches.length;
      for (const name of ['a', 'b']) exporter.add(span(name));
      await until('a batch', () => collector.batches.length === before + 1);
    };
    await send();
    await until('its answer', () => countsOf(exporter).exported === 1);
    collector.answer = response => void response.writeHead(307, { location: `http://127.0.0.1:${port}/else` }).end();
    await send();
    await until('its end', () => countsOf(exporter).failed === 2);
    // An answer of any length: its status says that all were taken.
    collector.answer = response => void response.end(Buffer.alloc(1_000_000));
    await send();
    await until('its end as well', () => countsOf(exporter).exported === 3);
    assert.deepEqual(countsOf(exporter), { exported: 3, full: 0, failed: 2, rejected: 1 });
  });

  it('waits as long as a busy collector says, and no longer than it may', async t => {
    const collector = new Collector();
    const port = await listen(t, createServer(collector.serve));
    const exporter = open(t, `http://127.0.0.1:${port}/`, { exportTimeoutMs: 2_000 });
    collector.answer = response => void response.writeHead(503, { 'retry-after': '3600' }).end();
    for (const name of ['a', 'b', 'c']) exporter.add(span(name));
    await until('the end', () => countsOf(exporter).failed === 3);
    assert.equal(collector.batches.length, 1);
  });

  it('trusts the roots it is given at https, and no others', async t => {
    const collector = new Collector();
    const ca = await createTestCa();
    const port = await listen(t, createTlsServer(await ca.issue(['collector.test', '127.0.0.1']), collector.serve));
    const url = `https://127.0.0.1:${port}/`;
    const trusting = open(t, url, { maxBatch: 1, tls: { ca: [ca.cert] } });
    trusting.add(span('trusted'));
    await until('a batch', () => countsOf(trusting).exported === 1);
    const other = open(t, url, { maxBatch: 1, exportTimeoutMs: 100 });
    other.add(span('not trusted'));
    await until('its failure', () => countsOf(other).failed === 1);
    assert.deepEqual(collector.batches, [['trusted']]);
  });
});
