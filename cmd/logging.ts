// The logger of a command: stderr in the chosen format, and a file in JSON when one is named. Source:
// docs/protocol/commands-and-api.md §15.

import { createLogger, type Logger, type LogLevel } from '../internal/telemetry/logger.ts';
import type { CommandContext } from './context.ts';
import { type LogFile, openLogFile } from './log-file.ts';

/** The settings that logging needs; TunnelSettings has them, and so has every command with `logFlags`. */
export interface LogSettings {
  readonly loglevel: string;
  readonly logfile: string | undefined;
  readonly logDirectory: string | undefined;
  readonly output: string;
}

export interface OpenLogger extends AsyncDisposable {
  readonly logger: Logger;
  /** Flushes and closes the log file. Idempotent. */
  close(): Promise<void>;
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal'];

/** Opens the logger. Throws 'config.invalid' when the log file cannot be opened. The caller closes it last. */
export async function openLogger(context: CommandContext, settings: LogSettings): Promise<OpenLogger> {
  const level = levels.find(known => known === settings.loglevel);
  let file: LogFile | undefined;
  if (settings.logfile !== undefined) file = await openLogFile({ path: settings.logfile, rotate: false });
  else if (settings.logDirectory !== undefined)
    file = await openLogFile({ path: `${settings.logDirectory}/postern.log`, rotate: true });

  const stderr = { write: (line: string) => void context.stderr.write(line) };
  const logger = createLogger({
    level: level ?? 'info',
    format: settings.output === 'json' ? 'json' : 'console',
    color: context.stderrIsTerminal && context.env.NO_COLOR === undefined,
    destination: stderr,
    ...(file === undefined ? {} : { copy: file }),
  });
  if (level === undefined) logger.error(`Failed to parse log level "${settings.loglevel}", using "info" instead`);
  if (settings.logfile !== undefined && settings.logDirectory !== undefined)
    logger.error('Both logfile and log-directory are set; only logfile is used');

  const close = async (): Promise<void> => {
    await file?.close();
  };
  return { logger, close, [Symbol.asyncDispose]: close };
}
