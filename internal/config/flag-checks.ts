// Checks of flag values that a type alone does not say: each returns what is wrong, or undefined. Source:
// docs/protocol/commands-and-api.md §3, §4.

import { isIP } from 'node:net';
import type { FlagValue } from './flag.ts';

/** One of these words; `text` is the error's message for any other. */
export const oneOf =
  (text: string, allowed: readonly string[]) =>
  (value: FlagValue): string | undefined =>
    allowed.includes(String(value)) ? undefined : `${text}: ${value}. Use one of ${allowed.join(', ')}`;

/** A number of at least `minimum`. */
export const atLeast =
  (name: string, minimum: number) =>
  (value: FlagValue): string | undefined =>
    Number(value) >= minimum ? undefined : `${name} must be at least ${minimum}, not ${value}`;

/** An IPv4 or IPv6 address. */
export const isAddress =
  (name: string) =>
  (value: FlagValue): string | undefined =>
    isIP(String(value)) !== 0 ? undefined : `invalid value for ${name}: ${value}. Use an IP address`;

/** A text of this form; `fault` says what any other is not. */
export const matching =
  (form: RegExp, fault: string) =>
  (value: FlagValue): string | undefined =>
    form.test(String(value)) ? undefined : `${JSON.stringify(value)} ${fault}`;

/** At most three minutes: longer than any edge waits for a connector that leaves. */
export function checkGracePeriod(value: FlagValue): string | undefined {
  const ms = Number(value);
  return ms >= 0 && ms <= 180_000 ? undefined : 'grace-period must be equal or less than 3m0s';
}
