// Durations as Go writes them (`1h15m30.918s`): parser and formatter. Source: the grammar of Go's time.ParseDuration,
// which YAML files and flags of this protocol family use (docs/protocol/ingress-and-origin.md §2,
// docs/protocol/commands-and-api.md §1).

import { PosternError } from '../errors/error.ts';

/** Nanoseconds in each unit; both spellings of the micro sign are accepted. */
const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** The largest duration of cloudflared: a signed 64-bit count of nanoseconds. */
const maxNs = 2 ** 63;

/**
 * Parses a Go duration (`30s`, `1h15m`, `-1.5ms`, `0`) into milliseconds, which may be fractional.
 * Throws 'config.invalid' with the texts users of Go programs know (`time: missing unit in duration "30"`).
 */
export function parseDuration(text: string): number {
  const fail = (reason: string): never => {
    throw new PosternError('config.invalid', `time: ${reason} duration ${JSON.stringify(text)}`);
  };
  const negative = text.startsWith('-');
  let rest = negative || text.startsWith('+') ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '') return fail('invalid');
  let totalNs = 0;
  while (rest !== '') {
    const [, number = '', unit = ''] = /^(\d*\.?\d*)([^\d.]*)/.exec(rest) ?? [];
    if (!/\d/.test(number)) return fail('invalid');
    if (unit === '') return fail(rest.length > number.length ? 'invalid' : 'missing unit in');
    const scale = Object.hasOwn(unitNs, unit) ? unitNs[unit] : undefined;
    if (scale === undefined) return fail(`unknown unit ${JSON.stringify(unit)} in`);
    totalNs += Number(number) * scale;
    if (totalNs > maxNs) return fail('invalid');
    rest = rest.slice(number.length + unit.length);
  }
  return (negative ? -totalNs : totalNs) / 1e6;
}

/** Writes milliseconds the way Go prints a duration: `1h0m0s`, `1m30s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(ms: number): string {
  const ns = Math.round(Math.abs(ms) * 1e6);
  const sign = ms < 0 && ns > 0 ? '-' : '';
  if (ns === 0) return '0s';
  if (ns < 1e3) return `${sign}${ns}ns`;
  if (ns < 1e6) return `${sign}${ns / 1e3}\u00b5s`;
  if (ns < 1e9) return `${sign}${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = Number(((ns % 60e9) / 1e9).toFixed(9));
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : '';
  return `${sign}${head}${seconds}s`;
}
