import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { causesOf, describeError, PosternError } from './error.ts';

describe('describeError', () => {
  it('joins a message and its causes, without the full stop of what goes on', () => {
    const cause = new PosternError('tls.failed', 'The certificate is not trusted.');
    const error = new PosternError('dial.failed', 'The handshake failed; check --cacert.', { cause });
    assert.equal(describeError(error), 'The handshake failed; check --cacert: The certificate is not trusted.');
    assert.equal(describeError(cause), 'The certificate is not trusted.');
    assert.deepEqual(causesOf(error), ['The certificate is not trusted.']);
  });
});
