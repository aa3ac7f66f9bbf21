// How a limit is written in the tables of docs/limits.md.

import type { AddressLimits } from '../../internal/net/limits/address-limiter.ts';
import type { RateLimits } from '../../internal/net/limits/rate-limiter.ts';
import { table } from './markdown.ts';

/** One limit: what it bounds, its value with unit, what happens beyond it, where it is changed. */
export type Row = readonly [what: string, value: string, beyond: string, where: string];

/** `constant` of a file below internal/ (or cmd/), as a link; a test finds the constant there. */
export function source(constant: string, file: string): string {
  const path = file.startsWith('cmd/') ? file : `internal/${file}`;
  return `\`${constant}\`, [${file}](../${path})`;
}

export function flag(name: string): string {
  return `\`--${name}\``;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `32 KiB`; what is no whole number of them is shown in bytes. */
export function bytes(value: number): string {
  for (const [unit, size] of [
    ['GiB', 1 << 30],
    ['MiB', 1 << 20],
    ['KiB', 1 << 10],
  ] as const) {
    if (value >= size && value % size === 0) return `${count(value / size)} ${unit}`;
  }
  return `${count(value)} bytes`;
}

export function days(ms: number): string {
  return `${count(ms / 86_400_000)} days`;
}

export function places(limits: AddressLimits): string {
  return `${count(limits.total)}; ${count(limits.perAddress)} of one address`;
}

export function rate({ burst, perSecond }: RateLimits): string {
  const steady = perSecond >= 1 ? `${count(perSecond)} a second` : `one in ${count(Math.round(1 / perSecond))} s`;
  return `${count(burst)} at once, then ${steady}`;
}

/** The rows as a table of docs/limits.md. */
export function limitsTable(rows: readonly Row[]): string {
  return table(['what', 'limit', 'beyond it', 'where to change it'], rows);
}
