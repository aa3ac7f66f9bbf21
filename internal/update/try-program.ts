// Whether a program comes up on this machine: it says its version, and starts as a connector whose health check answers. That
// connector has a tunnel that does not exist and an edge where nobody listens; it disturbs nobody.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError, PosternError } from '../errors/error.ts';
import { requestWeb } from '../net/http/web-request.ts';
import { withDeadline } from '../net/time/deadline.ts';
import { printable } from '../telemetry/printable.ts';

/** Each step takes under a second; a machine at its limits may take twenty times as long. */
const stepMs = 20_000;
/** Of what a program that does not come up printed. */
const maxOutput = 2_000;
/** An answer of the health check is a word. */
const maxAnswerBytes = 64 * 1024;

/** Variables that a program needs on any system; settings and secrets of this one are not for it. */
const passedVariables = ['PATH', 'LANG', 'TZ', 'SystemRoot', 'TMPDIR', 'TEMP', 'TMP', 'LD_LIBRARY_PATH'];

export interface TriedProgram {
  readonly path: string;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws 'update.failed' when it does not say its version. */
export async function tryVersion({ path, version, env }: TriedProgram): Promise<void> {
  await using tried = start(path, ['--version'], env);
  const { code, stdout } = await tried.ended('to say its version');
  if (code === 0 && stdout.trim() === `postern version ${version}`) return;
  throw tried.failed(
    `says ${JSON.stringify(printable(stdout.trim()))}, not its version, ${version}, and ends with ${code}`,
  );
}

/** Throws 'update.failed' when it does not start as a connector, or does not stop again. */
export async function tryConnector({ path, env }: TriedProgram): Promise<void> {
  const token = { a: randomBytes(16).toString('hex'), t: randomUUID(), s: randomBytes(32).toString('base64') };
  await using tried = start(
    path,
    [
      ...['tunnel', '--config', '', '--edge', '127.0.0.1:1', '--metrics', '127.0.0.1:0', '--no-prechecks'],
      ...['--no-autoupdate', '--log-format', 'text', '--hello-world', 'run'],
    ],
    { ...env, TUNNEL_TOKEN: Buffer.from(JSON.stringify(token)).toString('base64') },
    ['TUNNEL_TOKEN'],
  );
  const [, url = ''] = await tried.printed(/Starting metrics server on (127\.0\.0\.1:\d+)/);
  try {
    const answer = await requestWeb({
      url: `http://${url}/healthcheck`,
      signal: AbortSignal.timeout(stepMs),
      maxBytes: maxAnswerBytes,
    });
    if (answer.status !== 200) throw new Error(`the answer is ${answer.status}`);
  } catch (error) {
    throw tried.failed(`does not answer its health check (${describeError(error)})`);
  }
  tried.child.kill('SIGTERM');
  const { code } = await tried.ended('to stop');
  // Windows has no signals: it is just ended.
  if (code !== 0 && process.platform !== 'win32') throw tried.failed(`ends with ${code} when it is stopped`);
}

interface Tried extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it printed when it has ended. */
  ended(what: string): Promise<{ readonly code: number | string; readonly stdout: string }>;
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  failed(why: string): PosternError;
}

function start(
  path: string,
  args: readonly string[],
  env: TriedProgram['env'],
  further: readonly string[] = [],
): Tried {
  const home = mkdtempSync(join(tmpdir(), 'postern-update-'));
  const given = [...passedVariables, ...further].map(name => [name, env[name]] as const);
  const child = spawn(path, args, {
    cwd: home,
    env: { ...Object.fromEntries(given.filter(([, value]) => value !== undefined)), HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  const keep = (text: string, chunk: Buffer): string => (text + chunk.toString('utf8')).slice(0, maxOutput * 8);
  child.stdout.on('data', (chunk: Buffer) => {
    stdout = keep(stdout, chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = keep(stderr, chunk);
    child.emit('printed');
  });
  // Waited for from the start, or a program that ends at once is missed.
  const exited = once(child, 'close').then(
    ([code, signal]) => ({ code: (code ?? signal ?? 'unknown') as number | string, stdout }),
    (cause: unknown) => {
      throw new PosternError('update.failed', `${path} cannot be run`, { cause });
    },
  );
  // Whoever waits for it is told; when nobody does, what it printed has told.
  exited.catch(() => undefined);
  const failed = (why: string): PosternError => {
    const last = printable(stderr.trim().slice(-maxOutput));
    return new PosternError('update.failed', `The new program does not come up: ${path} ${why}${last && `: ${last}`}`);
  };
  const inTime = <T>(work: Promise<T>, what: string): Promise<T> =>
    withDeadline(work, stepMs, () => failed(`takes longer than ${stepMs / 1_000} s ${what}`));
  const find = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(stderr);
      if (found !== null) return found;
      if (child.exitCode !== null || child.signalCode !== null)
        throw failed(`ends with ${child.exitCode ?? child.signalCode} instead of starting`);
      await Promise.race([once(child, 'printed'), exited]);
    }
  };
  return {
    child,
    failed,
    ended: what => inTime(exited, what),
    printed: pattern => inTime(find(pattern), 'to start'),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      // It may have failed to start; that was told.
      await exited.catch(() => undefined);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
