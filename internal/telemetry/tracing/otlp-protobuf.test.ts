import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { nanoseconds } from './otlp-json.ts';
import { decodeTracesData, encodeTracesData, maxReported } from './otlp-protobuf.ts';
import type { Span } from './span.ts';

/** What a stock connector answered to `cf-trace-id`, a request for app.localhost that its origin answered with 200. */
const recorded = Buffer.from(
  'CtsCCqMBChQKCWhvc3QuYXJjaBIHCgVhbWQ2NAoUCglob3N0LnR5cGUSBwoFbGludXgKEAoIaG9zdG5hbWUSBAoCdm0KIgoOamFlZ2VyLnZlcnNpb24SEAoOZ28tb3RlbC0xLjQ0LjAKIAoXcHJvY2Vzcy5ydW50aW1lLnZlcnNpb24SBQoDREVWCh0KDHNlcnZpY2UubmFtZRINCgtjbG91ZGZsYXJlZBKKAQoICgZvcmlnaW4SfgoQ3vkQGpLqUOUiTcVObnv8bRIIHh2blnS+lAIiCGNG+l3HNASeKg1pbmdyZXNzX21hdGNoMAE5UaHZfo7Q7BhBeOjZfo7Q7BhKGwoIcmVxLWhvc3QSDwoNYXBwLmxvY2FsaG9zdEoOCghydWxlLW51bRICGAB6AIUBAQMAABomaHR0cHM6Ly9vcGVudGVsZW1ldHJ5LmlvL3NjaGVtYXMvMS43LjAKyAIKowEKFAoJaG9zdC5hcmNoEgcKBWFtZDY0ChQKCWhvc3QudHlwZRIHCgVsaW51eAoQCghob3N0bmFtZRIECgJ2bQoiCg5qYWVnZXIudmVyc2lvbhIQCg5nby1vdGVsLTEuNDQuMAogChdwcm9jZXNzLnJ1bnRpbWUudmVyc2lvbhIFCgNERVYKHQoMc2VydmljZS5uYW1lEg0KC2Nsb3VkZmxhcmVkEngKCAoGb3JpZ2luEmwKEN75EBqS6lDlIk3FTm57/G0SCJ4dr06HKVUBIghjRvpdxzQEnioLdHRmYl9vcmlnaW4wATnuMNt+jtDsGEEDqSx/jtDsGEoZChJ1cHN0cmVhbVN0YXR1c0NvZGUSAxjIAXoCGAGFAQEDAAAaJmh0dHBzOi8vb3BlbnRlbGVtZXRyeS5pby9zY2hlbWFzLzEuNy4w',
  'base64',
);

const exporting = { resource: { 'service.name': 'test' }, version: '1' };
const span: Span = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentId: '00f067aa0ba902b8',
  name: 'GET Zoë',
  kind: 2,
  startMs: 1_790_000_000_123.5,
  endMs: 1_790_000_000_124,
  attributes: { text: 'x', yes: true, no: false, count: -3, part: 0.25, __proto__x: 'y' },
  events: [{ name: 'head', atMs: 1_790_000_000_123.75 }],
  error: 'status 500',
};

describe('spans in protobuf', () => {
  it('come back as they were', () => {
    const bare = { ...span, parentId: '', attributes: {}, events: [], error: undefined };
    const [first, second] = decodeTracesData(encodeTracesData([span, bare], exporting));
    assert.deepEqual({ ...first, attributes: { ...first?.attributes } }, span);
    assert.deepEqual({ ...second, attributes: { ...second?.attributes } }, bare);
    assert.equal(nanoseconds(1_790_000_000_123.5), 1_790_000_000_123_500_000n);
  });

  it('of a stock connector are read', () => {
    assert.deepEqual(
      decodeTracesData(recorded).map(({ attributes, name, kind }) => [name, kind, { ...attributes }]),
      [
        ['ingress_match', 1, { 'req-host': 'app.localhost', 'rule-num': 0 }],
        ['ttfb_origin', 1, { upstreamStatusCode: 200 }],
      ],
    );
    const [first, second] = decodeTracesData(recorded);
    assert.deepEqual([first?.traceId, first?.parentId], [second?.traceId, second?.parentId]);
  });

  it('that are broken are refused, or read without harm', () => {
    const bytes = encodeTracesData([span], exporting);
    const read = (data: Uint8Array): void => {
      try {
        decodeTracesData(data);
      } catch (error) {
        assert.ok(isPosternError(error, 'protocol.malformed'), String(error));
      }
    };
    for (const whole of [bytes, recorded]) {
      for (let length = 0; length < whole.length; length += 1) read(whole.subarray(0, length));
      for (let bit = 0; bit < whole.length * 8; bit += 1) {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        read(flipped);
      }
    }
    assert.throws(
      () => decodeTracesData(Buffer.alloc(maxReported.bytes + 1)),
      error => isPosternError(error, 'protocol.too-large'),
    );
  });

  it('are bounded, whatever a report has', () => {
    const attributes = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`a${index}`, index]));
    const events = Array.from({ length: 40 }, () => ({ name: 'e', atMs: 1 }));
    const many = Array.from({ length: 24 }, () => ({ ...span, name: 'n'.repeat(1_200), attributes, events }));
    const kept = decodeTracesData(encodeTracesData(many, exporting));
    assert.equal(kept.length, maxReported.spans);
    for (const { attributes: list, events: told, name } of kept)
      assert.deepEqual(
        [Object.keys(list).length, told.length, name.length],
        [maxReported.attributes, maxReported.events, maxReported.textLength],
      );
  });
});
