// `--autoupdate-freq`: a connector that nobody watches looks for a newer program of itself from time to time, by `postern update`
// in a process of its own, and ends in order to be started again as the new one. Source: docs/protocol/commands-and-api.md §12.

import { spawn } from 'node:child_process';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { errorFields, PosternError } from '../../internal/errors/error.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import { printable } from '../../internal/telemetry/printable.ts';
import type { CommandContext } from '../context.ts';
import { binaryPath, updateSource } from '../update/own-build.ts';
import type { UpdateReport } from '../update/update.ts';
import { version } from '../version-line.ts';

export interface AutoUpdateInputs {
  readonly settings: TunnelSettings;
  readonly logger: Logger;
  /** Called once when another version than the one that runs is in place. */
  readonly onUpdated: (version: string) => void;
}

/** Timers of Node hold no longer. */
const maxTimerMs = 2 ** 31 - 1;
/** A mistyped setting must not become a load for the publisher. */
const minPeriodMs = 1_000;
/** Of what the update prints. */
const maxOutput = 16_000;

/** Looks after one period for the first time. The returned function ends it. Does nothing where the program cannot be updated. */
export function watchForUpdates(
  { settings, logger, onUpdated }: AutoUpdateInputs,
  context: CommandContext,
): () => void {
  const { autoupdateFreqMs, noAutoupdate } = settings;
  const path = binaryPath(context);
  const isWatched = context.stderrIsTerminal || context.platform === 'win32';
  if (path === undefined || updateSource === undefined || noAutoupdate || autoupdateFreqMs <= 0 || isWatched)
    return () => undefined;
  const periodMs = Math.min(Math.max(autoupdateFreqMs, minPeriodMs), maxTimerMs);
  const ended = new AbortController();
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    timer = setTimeout(() => void look(), periodMs).unref();
  };
  const look = async (): Promise<void> => {
    try {
      const report = await runUpdate(path, context.env, ended.signal);
      if (ended.signal.aborted) return;
      if (report.owner !== undefined) {
        logger.info(`Postern was installed by ${report.owner}, which updates it: looking for updates no more`);
        return;
      }
      // Another connector of the same program may have updated it.
      if (report.version !== version) {
        onUpdated(report.version);
        return;
      }
      logger.debug(`Postern ${version} is up to date`);
    } catch (error) {
      if (ended.signal.aborted) return;
      logger.error(errorFields(error), 'The update failed; this version goes on');
    }
    wait();
  };
  wait();
  return () => {
    clearTimeout(timer);
    ended.abort();
  };
}

async function runUpdate(path: string, env: CommandContext['env'], signal: AbortSignal): Promise<UpdateReport> {
  // Only the service manager's own child may speak to it.
  const { NOTIFY_SOCKET: _socket, WATCHDOG_USEC: _watchdog, ...passed } = env;
  const child = spawn(path, ['update', '--output', 'json'], {
    env: passed,
    signal,
    killSignal: 'SIGTERM',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout = (stdout + chunk.toString('utf8')).slice(0, maxOutput);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-maxOutput);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0 || code === 11) return JSON.parse(stdout) as UpdateReport;
  throw new PosternError('update.failed', reasonIn(stderr) || `${path} update ended with ${code}`);
}

/** The message of the error object that ends what it printed. */
function reasonIn(stderr: string): string {
  const last = stderr.trim().split('\n').at(-1) ?? '';
  try {
    return String((JSON.parse(last) as { readonly error: { readonly message: string } }).error.message);
  } catch {
    return printable(last);
  }
}
