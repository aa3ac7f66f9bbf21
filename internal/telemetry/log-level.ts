// Levels of lines and of loggers, in their order.

/** Levels that a line can have, most talkative first. */
export const lineLevels = ['debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LineLevel = (typeof lineLevels)[number];
export type LogLevel = LineLevel | 'silent';

/** Position among the levels; silent is above all. */
export function rank(level: LogLevel): number {
  return level === 'silent' ? lineLevels.length : lineLevels.indexOf(level);
}
