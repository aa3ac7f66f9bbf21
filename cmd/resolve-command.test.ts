import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveCommand } from './resolve-command.ts';

describe('finding the command', () => {
  it('takes flags of tunnel and of run, with their values, before the last word', () => {
    for (const flag of ['--loglevel', '--icmpv4-src', '-F']) {
      const found = resolveCommand(['tunnel', flag, 'run', 'run', 'NAME']);
      assert.deepEqual(found.path, ['tunnel', 'run'], flag);
      assert.deepEqual(found.tokens, [flag, 'run', 'NAME'], flag);
    }
  });

  it('takes a boolean flag without a value', () => {
    assert.deepEqual(resolveCommand(['--no-autoupdate', 'tunnel', 'run']).path, ['tunnel', 'run']);
  });

  it('runs tunnel for flags alone', () => {
    assert.deepEqual(resolveCommand(['--url', 'http://localhost:3000']).path, ['tunnel']);
  });
});
