import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import type { CommandContext } from './context.ts';
import { type LogSettings, openLogger } from './logging.ts';

const folder = await mkdtemp(join(tmpdir(), 'postern-log-'));
after(() => rm(folder, { recursive: true, force: true }));

const defaults: LogSettings = { loglevel: 'info', logfile: undefined, logDirectory: undefined, output: 'default' };

function contextWith(stderr: PassThrough): CommandContext {
  return {
    env: {},
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr,
    stdinIsTerminal: false,
    stderrIsTerminal: false,
    program: ['postern'],
    cwd: folder,
    homeDir: folder,
    pid: process.pid,
    platform: 'linux',
    onSignal: () => () => undefined,
    exitNow: () => undefined,
  };
}

async function logged(settings: Partial<LogSettings>, lines: number, text = 'hello'): Promise<string> {
  const stderr = new PassThrough();
  const open = await openLogger(contextWith(stderr), { ...defaults, ...settings });
  for (let line = 0; line < lines; line += 1) open.logger.info({ connIndex: line }, text);
  await open.close();
  await open.close();
  stderr.end();
  return readAll(stderr);
}

describe('logging', () => {
  it('writes the console form to stderr and JSON to the file, which is appended to', async () => {
    const logfile = join(folder, 'deep', 'er', 'x.log');
    assert.match(await logged({ logfile }, 1), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INF hello connIndex=0\n$/);
    assert.match(
      await logged({ logfile, output: 'json' }, 1),
      /^\{"level":"info","time":"[^"]+","connIndex":0,"message":"hello"\}\n$/,
    );
    const lines = (await readFile(logfile, 'utf8')).trim().split('\n');
    assert.equal(lines.length, 2);
    for (const line of lines) assert.equal(JSON.parse(line).message, 'hello');
    assert.equal((await stat(logfile)).mode & 0o777, 0o644 & ~process.umask());
  });

  it('takes trace for debug', async () => {
    const stderr = new PassThrough();
    await using open = await openLogger(contextWith(stderr), { ...defaults, loglevel: 'trace' });
    open.logger.debug('detail');
    stderr.end();
    assert.match(await readAll(stderr), /^\S+ DBG detail\n$/);
  });

  it('says so when the level is unknown or both files are named', async () => {
    const text = await logged({ loglevel: 'loud', logfile: join(folder, 'y.log'), logDirectory: folder }, 0);
    assert.match(text, /Failed to parse log level \\?"loud\\?", using \\?"info\\?" instead/);
    assert.match(text, /only logfile is used/);
    assert.equal(await logged({ loglevel: 'error' }, 1), '');
  });

  it('rotates in a directory, keeping five old files', async () => {
    const logDirectory = join(folder, 'rotated');
    await logged({ logDirectory }, 100, 'x'.repeat(100_000));
    const names = (await readdir(logDirectory)).sort();
    assert.deepEqual(names, ['postern.log', ...[1, 2, 3, 4, 5].map(number => `postern.log.${number}`)]);
    for (const name of names) assert.ok((await stat(join(logDirectory, name))).size <= 1024 * 1024);
    const last = (await readFile(join(logDirectory, 'postern.log'), 'utf8')).trim().split('\n').at(-1) ?? '';
    assert.equal(JSON.parse(last).connIndex, 99);
  });

  it('refuses a file that cannot be opened', async () => {
    await assert.rejects(logged({ logfile: folder }, 0), {
      code: 'config.invalid',
      message: /cannot be opened: EISDIR/,
    });
  });
});
