import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTraceSettings } from './trace-settings.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' };
const settingsOf = (env: Record<string, string>) => {
  const { settings, warnings } = readTraceSettings(env);
  assert.deepEqual(warnings, []);
  return settings;
};
const warningsOf = (env: Record<string, string>) => readTraceSettings({ ...endpoint, ...env }).warnings;

describe('settings of traces', () => {
  it('are off unless an endpoint or the exporter is given', () => {
    assert.equal(settingsOf({}), undefined);
    assert.equal(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_TRACES_EXPORTER: '' }), undefined);
    assert.equal(settingsOf({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), undefined);
    assert.equal(settingsOf({ ...endpoint, OTEL_SDK_DISABLED: 'TRUE' }), undefined);
    assert.equal(settingsOf({ OTEL_TRACES_EXPORTER: 'otlp' })?.url.href, 'http://localhost:4318/v1/traces');
    assert.equal(settingsOf(endpoint)?.url.href, 'http://collector:4318/v1/traces');
  });

  it('have the defaults of OpenTelemetry, but for JSON and compression', () => {
    assert.deepEqual(settingsOf(endpoint), {
      url: new URL('http://collector:4318/v1/traces'),
      ...{ format: 'json', headers: {}, gzip: true, timeoutMs: 10_000, resource: {} },
      files: { ca: undefined, cert: undefined, key: undefined },
      sampler: { name: 'parentbased_always_on', ratio: 1 },
      ...{ maxQueue: 2_048, maxBatch: 512, delayMs: 5_000, exportTimeoutMs: 30_000 },
    });
  });

  it('for traces win over those for everything', () => {
    const settings = settingsOf({
      ...endpoint,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://other/path',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=Bearer%20x=y, b = 2',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '250',
      OTEL_EXPORTER_OTLP_CERTIFICATE: 'ca.pem',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'me.pem',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: 'key.pem',
      OTEL_SERVICE_NAME: 'mine',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,a=b%2Cc',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
    });
    assert.equal(settings?.url.href, 'https://other/path');
    assert.deepEqual(settings?.headers, { authorization: 'Bearer x=y', b: '2' });
    assert.deepEqual(settings?.resource, { 'service.name': 'mine', a: 'b,c' });
    assert.deepEqual(settings?.files, { ca: 'ca.pem', cert: 'me.pem', key: 'key.pem' });
    assert.deepEqual(settings?.sampler, { name: 'traceidratio', ratio: 0.25 });
    const { format, gzip, timeoutMs, maxBatch } = settings ?? assert.fail();
    assert.deepEqual(
      { format, gzip, timeoutMs, maxBatch },
      { format: 'protobuf', gzip: false, timeoutMs: 250, maxBatch: 100 },
    );
  });

  it('that cannot be used are warnings, which tell no secret', () => {
    assert.match(
      warningsOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).join(),
      /^No traces: OTEL_EXPORTER_OTLP_PROTOCOL="grpc" .*http\/json/,
    );
    assert.match(warningsOf({ OTEL_TRACES_EXPORTER: 'zipkin' }).join(), /"zipkin"; only otlp and none/);
    assert.match(warningsOf({ OTEL_TRACES_SAMPLER: 'x' }).join(), /parentbased_always_on is taken/);
    assert.match(
      warningsOf({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }).join(),
      /from 0 to 1/,
    );
    assert.match(warningsOf({ OTEL_BSP_MAX_QUEUE_SIZE: '0' }).join(), /from 1 to 65536; 2048 is taken/);
    assert.match(warningsOf({ OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' }).join(), /gzip is taken/);
    for (const [name, value] of [
      ['OTEL_EXPORTER_OTLP_HEADERS', 'hunter2'],
      ['OTEL_EXPORTER_OTLP_HEADERS', 'a=hunter2%0d%0ax: y'],
      ['OTEL_EXPORTER_OTLP_HEADERS', 'hunter2 x=1'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://me:hunter2@collector'],
      ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'hunter2'],
    ] as const) {
      const { settings, warnings } = readTraceSettings({ ...endpoint, [name]: value });
      assert.equal(warnings.length, 1, value);
      assert.doesNotMatch(warnings.join(), /hunter2/);
      assert.deepEqual(settings?.headers ?? {}, {});
    }
  });
});
