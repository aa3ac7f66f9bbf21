// Lets somebody listen to the log of a running program at a level of their own, without a line more in the log itself. While
// nobody listens, a line costs one comparison.

import { type LineLevel, type LogLevel, lineLevels, rank } from './log-level.ts';

/** Gets lines as JSON, one an object. Must not throw, nor log. */
export type LineListener = (line: string, level: LineLevel) => void;

/** What a tap needs of a logger. */
interface LeveledLogger {
  level: string;
}

/** One for a program; loggers are made with it (LoggerOptions). */
export class LogTap {
  readonly #loggers = new Map<LeveledLogger, LogLevel>();
  readonly #listeners = new Set<{ readonly level: LineLevel; readonly listener: LineListener }>();

  /** Whether anybody listens. */
  get isOpen(): boolean {
    return this.#listeners.size > 0;
  }

  /** For createLogger: the own level of a logger, from the start or changed while it runs. */
  setLevel(logger: LeveledLogger, level: LogLevel): void {
    this.#loggers.set(logger, level);
    this.#setLevels();
  }

  /** For createLogger: a line that was logged, whoever wants it. */
  publish(line: string, level: LineLevel): void {
    for (const one of this.#listeners) if (rank(level) >= rank(one.level)) one.listener(line, level);
  }

  /** Calls `listener` for lines of `level` and above until the returned function is called. */
  listen(level: LineLevel, listener: LineListener): () => void {
    const one = { level, listener };
    this.#listeners.add(one);
    this.#setLevels();
    return () => {
      this.#listeners.delete(one);
      this.#setLevels();
    };
  }

  /** What nobody wants is not even made. */
  #setLevels(): void {
    const wanted = Math.min(...[...this.#listeners].map(({ level }) => rank(level)));
    for (const [logger, level] of this.#loggers) {
      const lower = lineLevels[Math.min(wanted, rank(level))];
      logger.level = wanted < rank(level) && lower !== undefined ? lower : level;
    }
  }
}

/** The level of a line that createLogger's loggers wrote: it stands first. */
export function levelOfLine(line: string): LineLevel {
  const end = line.indexOf('"', prefix.length);
  const level = line.slice(prefix.length, end);
  return lineLevels.find(known => known === level) ?? 'info';
}

const prefix = '{"level":"';
