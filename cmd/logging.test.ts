import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import { errorFields, PosternError } from '../internal/errors/error.ts';
import { createLogger, type LogLevel } from '../internal/telemetry/logger.ts';
import type { CommandContext } from './context.ts';
import { type LogSettings, logFormat, openLogger, transportLogger } from './logging.ts';
import { runtimeLine } from './version-line.ts';

const folder = await mkdtemp(join(tmpdir(), 'postern-log-'));
after(() => rm(folder, { recursive: true, force: true }));

const defaults: LogSettings = {
  ...{ loglevel: 'info', logfile: undefined, logDirectory: undefined, logFormat: 'auto', output: 'default' },
};

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
    runAgain: () => undefined,
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

  it('is JSON when asked for, and for a service whose output is no terminal', async () => {
    const service = { JOURNAL_STREAM: '8:1234' };
    const cases: readonly (readonly [Partial<LogSettings>, Record<string, string>, boolean, 'json' | 'console'])[] = [
      [{}, {}, false, 'console'],
      [{}, {}, true, 'console'],
      [{}, service, false, 'json'],
      [{}, { INVOCATION_ID: 'ab' }, false, 'json'],
      [{}, { INVOCATION_ID: '' }, false, 'console'],
      [{}, service, true, 'console'],
      [{ logFormat: 'text' }, service, false, 'console'],
      [{ logFormat: 'json' }, {}, true, 'json'],
      [{ output: 'json' }, {}, true, 'json'],
    ];
    for (const [settings, env, stderrIsTerminal, expected] of cases)
      assert.equal(
        logFormat({ ...defaults, ...settings }, { env, stderrIsTerminal }),
        expected,
        JSON.stringify(settings),
      );
    assert.match(await logged({ logFormat: 'json' }, 1), /^\{"level":"info"/);
  });

  it('is aligned and coloured for eyes, and plain for programs', () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    for (const style of [{ align: true, color: true }, { align: true }, {}])
      createLogger({ level: 'info', format: 'console', destination, ...style }).info({ b: 1, a: 'x y' }, 'Edge ready');
    const [coloured = '', aligned = '', plain = ''] = lines.map(line => line.replace(/^\S+ /, ''));
    const pad = ' '.repeat(34);
    assert.equal(
      coloured,
      `\u001b[32mINF\u001b[0m Edge ready${pad} \u001b[36ma=\u001b[0m"x y" \u001b[36mb=\u001b[0m1\n`,
    );
    assert.equal(aligned, `INF Edge ready${pad} a="x y" b=1\n`);
    assert.equal(plain, 'INF Edge ready a="x y" b=1\n');
  });

  it('has a level of its own for connections to the edge', () => {
    const lines: string[] = [];
    const loggerAt = (level: LogLevel) =>
      createLogger({ level, format: 'json', destination: { write: line => void lines.push(line) } });
    const logger = { logger: loggerAt('warn'), loggerAt };
    const settings = (sources: Record<string, string>, transportLoglevel: string) => ({ sources, transportLoglevel });
    transportLogger(settings({}, 'info'), logger).info('as the rest');
    const given = { 'transport-loglevel': 'flag' };
    transportLogger(settings(given, 'debug'), logger).debug('told');
    transportLogger(settings(given, 'error'), logger).warn('kept to itself');
    transportLogger(settings(given, 'loud'), logger).warn('known');
    assert.deepEqual(
      lines.map(line => (JSON.parse(line) as { message: string }).message),
      ['told', 'Failed to parse transport log level "loud", using that of --loglevel', 'known'],
    );
  });

  it('says of an error its code, the part at fault and what to do', () => {
    const cause = new Error('connect ECONNREFUSED');
    assert.deepEqual(errorFields(new PosternError('origin.unreachable', 'No way.', { cause })), {
      ...{ error: 'No way: connect ECONNREFUSED', code: 'origin.unreachable', scope: 'origin' },
      remedy: "Start the origin, or correct the `service` of its rule; the connector's log names the cause.",
    });
    assert.deepEqual(errorFields(cause), { error: 'connect ECONNREFUSED' });
  });

  it('names what runs in the words of the stock program', () => {
    assert.match(runtimeLine(), /^GOOS: (linux|darwin|windows), GOVersion: node\d+\.\d+\.\d+, GoArch: (amd64|arm64)$/);
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
