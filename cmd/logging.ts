// The logger of a command: stderr in the chosen format, and a file in JSON when one is named. Source:
// docs/protocol/commands-and-api.md §15.

import { describeError } from '../internal/errors/error.ts';
import { LogTap } from '../internal/telemetry/log-tap.ts';
import { createLogger, type Logger, type LogLevel } from '../internal/telemetry/logger.ts';
import type { CommandContext } from './context.ts';
import { type LogFile, openLogFile } from './log-file.ts';

/** The settings that logging needs; TunnelSettings has them, and so has every command with `logFlags`. */
export interface LogSettings {
  readonly loglevel: string;
  readonly logfile: string | undefined;
  readonly logDirectory: string | undefined;
  readonly logFormat: string;
  readonly output: string;
}

/** The log as one tunnel writes it. */
export interface TunnelLog {
  readonly logger: Logger;
  /** Who listens in from afar hears the lines of this tunnel, and of no other. */
  readonly tap: LogTap;
  /** Another logger with the same destinations and the same tap. */
  loggerAt(level: LogLevel): Logger;
}

export interface OpenLogger extends TunnelLog, AsyncDisposable {
  /** The log of one of several tunnels: `fields` are on each of its lines. */
  forTunnel(fields: Readonly<Record<string, string>>): TunnelLog;
  /** Flushes and closes the log file. Idempotent. */
  close(): Promise<void>;
}

/** The logger of lines about connections to the edge, whose level may be another one. */
export function transportLogger(
  {
    sources,
    transportLoglevel,
  }: { readonly sources: Readonly<Record<string, unknown>>; readonly transportLoglevel: string },
  { logger, loggerAt }: Pick<TunnelLog, 'logger' | 'loggerAt'>,
): Logger {
  const level = levelNamed(transportLoglevel);
  // One of its own in any case: a reload may set its level.
  if (sources['transport-loglevel'] === undefined) return loggerAt(logger.level as LogLevel);
  if (level === undefined)
    logger.error(`Failed to parse transport log level "${transportLoglevel}", using that of --loglevel`);
  return loggerAt(level ?? (logger.level as LogLevel));
}

/** Nothing is logged below debug. */
export function levelNamed(name: string): LogLevel | undefined {
  const wanted = name === 'trace' ? 'debug' : name;
  return levels.find(known => known === wanted);
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal'];

/** Opens the logger. Throws 'config.invalid' when the log file cannot be opened. The caller closes it last. */
export async function openLogger(context: CommandContext, settings: LogSettings): Promise<OpenLogger> {
  const level = levelNamed(settings.loglevel);
  let file: LogFile | undefined;
  const open = (path: string, rotate: boolean): Promise<LogFile> => {
    const text = `The log file ${path} cannot be written, lines are lost: make room, or mend its permissions`;
    return openLogFile(path, { rotate, failed: error => logger.warn({ error: describeError(error) }, text) });
  };
  if (settings.logfile !== undefined) file = await open(settings.logfile, false);
  else if (settings.logDirectory !== undefined) file = await open(`${settings.logDirectory}/postern.log`, true);

  const stderr = { write: (line: string) => void context.stderr.write(line) };
  const shape = {
    format: logFormat(settings, context),
    align: context.stderrIsTerminal,
    color: context.stderrIsTerminal && context.env.NO_COLOR === undefined,
    destination: stderr,
    copy: file,
  } as const;
  const forTunnel: OpenLogger['forTunnel'] = fields => {
    const tap = new LogTap();
    const loggerAt = (wanted: LogLevel): Logger => createLogger({ ...shape, fields, tap, level: wanted });
    return { logger: loggerAt(level ?? 'info'), tap, loggerAt };
  };
  const log = forTunnel({});
  const { logger } = log;
  if (level === undefined) logger.error(`Failed to parse log level "${settings.loglevel}", using "info" instead`);
  if (settings.logfile !== undefined && settings.logDirectory !== undefined)
    logger.error('Both logfile and log-directory are set; only logfile is used');

  const close = async (): Promise<void> => {
    await file?.close();
  };
  return { ...log, forTunnel, close, [Symbol.asyncDispose]: close };
}

/** What service managers of systemd's kind set for what they start. A terminal that such a service opened has them, too. */
const serviceVariables = ['JOURNAL_STREAM', 'INVOCATION_ID'] as const;

/** How lines are written: collectors of logs take JSON, people and scripts the text they know. */
export function logFormat(
  settings: Pick<LogSettings, 'logFormat' | 'output'>,
  { env, stderrIsTerminal }: Pick<CommandContext, 'env' | 'stderrIsTerminal'>,
): 'json' | 'console' {
  if (settings.output === 'json' || settings.logFormat === 'json') return 'json';
  if (settings.logFormat === 'text' || stderrIsTerminal) return 'console';
  return serviceVariables.some(name => (env[name] ?? '') !== '') ? 'json' : 'console';
}
