import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../errors/error.ts';
import { parseFeaturesRecord, parseProtocolRecord } from './rollout.ts';

// Thresholds: "123456" → 74, "testAccountTag" → 56.

describe('rollout records', () => {
  it('takes the first protocol whose percentage is above the threshold', () => {
    const record = '[{"protocol":"http2","percentage":75},{"protocol":"QUIC","percentage":57}]';
    assert.equal(parseProtocolRecord(record, 'testAccountTag'), 'quic');
    assert.equal(parseProtocolRecord(record, '123456'), 'http2');
  });

  it('compares strictly and falls to quic', () => {
    assert.equal(
      parseProtocolRecord(
        '[{"protocol":"quic","percentage":56},{"protocol":"http2","percentage":57}]',
        'testAccountTag',
      ),
      'http2',
    );
    assert.equal(parseProtocolRecord('[{"protocol":"quic","percentage":0}]', '123456'), 'quic');
    assert.equal(parseProtocolRecord('[]', '123456'), 'quic');
    assert.equal(parseProtocolRecord('[null,7,{"protocol":"http2","percentage":"99"}]', '123456'), 'quic');
  });

  it('reads features, missing ones are off', () => {
    assert.deepEqual(parseFeaturesRecord('{"dv3_2":75,"skip_prechecks":true,"new":1}', '123456'), {
      datagramV3: true,
      skipPrechecks: true,
    });
    assert.deepEqual(parseFeaturesRecord('{"dv3_2":74}', '123456'), { datagramV3: false, skipPrechecks: false });
    assert.deepEqual(parseFeaturesRecord('{}', '123456'), { datagramV3: false, skipPrechecks: false });
  });

  for (const wrong of ['', 'x', 'null', '7', '"quic"']) {
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      assert.throws(
        () => parseProtocolRecord(wrong, ''),
        (e: unknown) => isPosternError(e, 'discovery.failed'),
      );
      assert.throws(
        () => parseFeaturesRecord(wrong, ''),
        (e: unknown) => isPosternError(e, 'discovery.failed'),
      );
    });
  }
});
