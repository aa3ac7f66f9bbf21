import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import {
  decodeConfigurationAnswer,
  decodeConfigurationRequest,
  encodeConfigurationAnswer,
  encodeConfigurationRequest,
} from './configuration-request.ts';

const malformed = (error: unknown): boolean => isPosternError(error, 'protocol.malformed');
const nested = (depth: number): string => `{"version":1,"config":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;

describe('a configuration over HTTP/2', () => {
  it('has the bytes that stock peers send, and reads them', () => {
    const pushed = { version: 7, json: '{"ingress":[{"service":"http_status:404"}]}' };
    const text = encodeConfigurationRequest(pushed).toString();
    assert.equal(text, '{"version":7,"config":{"ingress":[{"service":"http_status:404"}]}}');
    assert.deepEqual(decodeConfigurationRequest(text), pushed);
    assert.deepEqual(decodeConfigurationRequest('{"version":0}'), { version: 0, json: '{}' });
    const applied = { version: 7, error: undefined };
    assert.equal(encodeConfigurationAnswer(applied).toString(), '{"lastAppliedVersion":7,"err":null}');
    assert.deepEqual(decodeConfigurationAnswer('{"lastAppliedVersion":7,"err":null}'), applied);
    assert.deepEqual(decodeConfigurationAnswer('{"lastAppliedVersion":7}'), applied);
    const refused = { version: -1, error: 'Rule 1 “é” is wrong' };
    assert.deepEqual(decodeConfigurationAnswer(encodeConfigurationAnswer(refused).toString()), refused);
    assert.deepEqual(decodeConfigurationAnswer('{"lastAppliedVersion":3,"err":{}}'), { version: 3, error: '{}' });
    assert.deepEqual(decodeConfigurationAnswer('{"lastAppliedVersion":3,"err":"no"}'), { version: 3, error: 'no' });
  });

  it('is refused when it is none, without a word of what it holds', () => {
    const texts = ['', '{', '[]', 'null', '1', '"secret"', '{"version":"seven","config":{}}', '{"version":1.5}'];
    for (const text of [...texts, '{"version":2147483648}', '{"version":1e999}', '{"secret":1}']) {
      assert.throws(() => decodeConfigurationRequest(text), malformed, text);
      assert.throws(
        () => decodeConfigurationAnswer(text),
        error => malformed(error) && !String(error).includes('secret'),
      );
    }
    const whole = encodeConfigurationRequest({ version: 1, json: '{"ingress":[]}' }).toString();
    for (let length = 0; length < whole.length; length += 1)
      assert.throws(() => decodeConfigurationRequest(whole.slice(0, length)), malformed);
  });

  it('may be nested without end, and ends nothing', () => {
    for (const depth of [1_000, 100_000, 1_000_000]) {
      try {
        assert.equal(decodeConfigurationRequest(nested(depth)).version, 1);
      } catch (error) {
        assert.ok(malformed(error), String(error));
      }
    }
  });
});
