// Logger set-up: pino behind one small interface, JSON lines or the console form that operators know
// (`2026-08-20T10:00:00Z INF message key=value`). Source: docs/protocol/commands-and-api.md §15.

import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { type LogLevel, rank } from './log-level.ts';
import { type LogTap, levelOfLine } from './log-tap.ts';
import { printable } from './printable.ts';

export type { LogLevel };
export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'console' | 'json';
  /** Where lines go; one complete line a write. */
  readonly destination: DestinationStream;
  readonly color?: boolean;
  /** Console form: fields begin in one column, for eyes. */
  readonly align?: boolean;
  /** Gets every line as JSON, whatever the format: a log file. */
  readonly copy?: DestinationStream | undefined;
  /** On every line, after its time. */
  readonly fields?: Readonly<Record<string, string>> | undefined;
  /** Who may listen in, at a level of their own. */
  readonly tap?: LogTap | undefined;
}

/** The streams are the caller's to close, after the last line. */
export function createLogger(options: LoggerOptions): Logger {
  const { copy, tap } = options;
  let { level } = options;
  const shown = options.format === 'json' ? options.destination : consoleDestination(options.destination, options);
  const own: DestinationStream = copy === undefined ? shown : bothDestinations(shown, copy);
  const destination = tap === undefined ? own : tappedDestination(own, tap, () => level);
  const logger = pino(
    {
      level: options.level,
      base: options.fields ?? null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"time":"${new Date().toISOString().replace(/\.\d+Z$/, 'Z')}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  );
  tap?.setLevel(logger, level);
  levelSetters.set(logger, changed => {
    level = changed;
    if (tap === undefined) logger.level = changed;
    else tap.setLevel(logger, changed);
  });
  return logger;
}

const levelSetters = new WeakMap<Logger, (level: LogLevel) => void>();

/** Sets what a logger of `createLogger` logs. Who listens in goes on hearing what they asked for. */
export function setLogLevel(logger: Logger, level: LogLevel): void {
  const set = levelSetters.get(logger);
  if (set === undefined) logger.level = level;
  else set(level);
}

/** A logger that drops everything; for tests and for embedding. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

const levelCodes: Readonly<Record<string, string>> = {
  debug: 'DBG',
  info: 'INF',
  warn: 'WRN',
  error: 'ERR',
  fatal: 'FTL',
};
const levelColors: Readonly<Record<string, number>> = { debug: 90, info: 32, warn: 33, error: 31, fatal: 35 };

/** While somebody listens, lines are made that the log itself does not want. */
function tappedDestination(own: DestinationStream, tap: LogTap, ownLevel: () => LogLevel): DestinationStream {
  return {
    write: line => {
      if (!tap.isOpen) return own.write(line);
      const level = levelOfLine(line);
      if (rank(level) >= rank(ownLevel())) own.write(line);
      tap.publish(line, level);
    },
  };
}

function bothDestinations(first: DestinationStream, second: DestinationStream): DestinationStream {
  return {
    write: line => {
      first.write(line);
      second.write(line);
    },
  };
}

type ConsoleStyle = Pick<LoggerOptions, 'align' | 'color'>;

function consoleDestination(inner: DestinationStream, style: ConsoleStyle): DestinationStream {
  return { write: line => inner.write(`${formatConsoleLine(line, style)}\n`) };
}

/** Most messages are shorter. */
const alignedMessageLength = 44;

function formatConsoleLine(line: string, { align = false, color = false }: ConsoleStyle): string {
  const { level, time, message, error, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const name = String(level);
  const code = levelCodes[name] ?? name;
  const shown = color ? `\u001b[${levelColors[name] ?? 0}m${code}\u001b[0m` : code;
  const keys = Object.keys(fields).sort();
  const text = printable(String(message ?? ''));
  const hasFields = error !== undefined || keys.length > 0;
  const parts = [`${time} ${shown} ${align && hasFields ? text.padEnd(alignedMessageLength) : text}`];
  const field = (key: string, value: unknown): void => {
    parts.push(`${color ? `\u001b[36m${key}=\u001b[0m` : `${key}=`}${formatValue(value)}`);
  };
  if (error !== undefined) field('error', error);
  for (const key of keys) field(key, fields[key]);
  return parts.join(' ');
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? printable(text) : printable(JSON.stringify(text));
}
