import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
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

describe('commands that messages advise', () => {
  it('exist', () => {
    const sources = ['cmd', 'internal'].flatMap(room =>
      globSync(`${room}/**/*.ts`).filter(file => !file.endsWith('.test.ts')),
    );
    const advised = new Map<string, string>();
    for (const file of sources) {
      for (const [, words = ''] of readFileSync(file, 'utf8').matchAll(/[`"']postern ((?:[a-z][a-z-]* ?)+)/g))
        advised.set(words.trim(), file);
    }
    assert.ok(advised.size > 15, String(advised.size));
    for (const [words, file] of advised) {
      const { entry, path, tokens } = resolveCommand(words.split(' '));
      // What follows the command are its arguments, except where only a group was found.
      assert.ok(
        entry !== undefined && (tokens.length === 0 || path[0] !== 'tunnel' || path.length > 1),
        `${words} in ${file}`,
      );
    }
  });
});
