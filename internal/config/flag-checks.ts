// Checks of flag values that a type alone does not say: each returns what is wrong, or undefined. Source:
// docs/protocol/commands-and-api.md §3, §4.

import { isIP } from 'node:net';
import { parsePrefix } from '../net/address/prefix.ts';
import type { FlagValue } from './flag.ts';

/** One of these words; `text` says what is wrong when it is none. */
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

/** At most three minutes: longer than any edge waits for a connector that leaves. */
export function checkGracePeriod(value: FlagValue): string | undefined {
  const ms = Number(value);
  return ms >= 0 && ms <= 180_000 ? undefined : 'grace-period must be equal or less than 3m0s';
}

/** `KEY=VALUE` each, the key a token of HTTP because it becomes part of a header name. */
export function checkTags(value: FlagValue): string | undefined {
  const wrong = (value as readonly string[]).find(tag => !/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+=[\x20-\x7e]+$/.test(tag));
  return wrong === undefined ? undefined : `Cannot parse tag value ${wrong}. Write KEY=VALUE`;
}

/** At most ten of `IP:PORT`. */
export function checkResolvers(value: FlagValue): string | undefined {
  const list = value as readonly string[];
  if (list.length > 10) return `dns-resolver-addrs takes at most 10 addresses, not ${list.length}`;
  const wrong = list.find(item => {
    const [, v6, v4, port] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(item) ?? [];
    return isIP(v6 ?? v4 ?? '') === 0 || Number(port) < 1 || Number(port) > 65_535;
  });
  return wrong === undefined ? undefined : `dns-resolver-addrs must be IP:PORT, not ${wrong}`;
}

/** Addresses or CIDR blocks. */
export function checkPrefixes(value: FlagValue): string | undefined {
  const wrong = (value as readonly string[]).find(item => parsePrefix(item) === undefined);
  return wrong === undefined ? undefined : `allow-destination must be an address or CIDR block, not ${wrong}`;
}
