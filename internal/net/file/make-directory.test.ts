import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeDirectory } from './make-directory.ts';

describe('directories', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'postern-directory-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are made with their parents, and left alone when they are there', () => {
    const path = join(directory, 'a', 'b', 'c');
    makeDirectory(path, 0o700);
    makeDirectory(path, 0o755);
    makeDirectory('/', 0o755);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.equal(statSync(join(directory, 'a')).mode & 0o777, 0o700);
  });

  it('that cannot be made fail with the reason, and leave nothing', () => {
    writeFileSync(join(directory, 'file'), '');
    symlinkSync(join(directory, 'nowhere'), join(directory, 'link'));
    assert.throws(() => makeDirectory(join(directory, 'file'), 0o700), { code: 'EEXIST' });
    assert.throws(() => makeDirectory(join(directory, 'file', 'a', 'b'), 0o700), { code: 'ENOTDIR' });
    assert.throws(() => makeDirectory(join(directory, 'link', 'a', 'b'), 0o700), { code: 'EEXIST' });
    assert.deepEqual(readdirSync(directory), ['file', 'link']);
  });

  it('below /proc fail instead of taking for ever', { skip: process.platform !== 'linux' }, () => {
    assert.throws(() => makeDirectory('/proc/.postern/edge', 0o700), { code: 'ENOENT' });
  });
});
