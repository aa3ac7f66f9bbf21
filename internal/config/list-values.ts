// Flags whose texts stand for more than texts: each is parsed by one function, which checks the flag when it is resolved and
// gives the value where it is used. Source: docs/protocol/commands-and-api.md §4.

import { isPosternError, PosternError } from '../errors/error.ts';
import { parseIpPort } from '../net/address/host-port.ts';
import { type Prefix, parsePrefix } from '../net/address/prefix.ts';
import type { ResolverAddress } from '../net/address/virtual-dns.ts';
import type { FlagValue } from './flag.ts';

const resolverLimit = 10;

/** `--dns-resolver-addrs`: at most ten of `IP:PORT`. Throws 'usage.invalid' with the text that is wrong. */
export function parseResolverAddresses(texts: readonly string[]): ResolverAddress[] {
  if (texts.length > resolverLimit)
    throw new PosternError(
      'usage.invalid',
      `dns-resolver-addrs takes at most ${resolverLimit} addresses, not ${texts.length}`,
    );
  return texts.map(text => parseIpPort(text) ?? refuse(`dns-resolver-addrs must be IP:PORT, not ${text}`));
}

/** `--allow-destination`: addresses or CIDR blocks. Throws 'usage.invalid' with the text that is wrong. */
export function parseAllowedDestinations(texts: readonly string[]): Prefix[] {
  return texts.map(
    text => parsePrefix(text) ?? refuse(`allow-destination must be an address or CIDR block, not ${text}`),
  );
}

/**
 * `--tag`: `KEY=VALUE` each, the key a token of HTTP because it becomes part of a header name; of equal keys the last counts.
 * Throws 'usage.invalid' with the text that is wrong.
 */
export function parseTags(texts: readonly string[]): Readonly<Record<string, string>> {
  const pairs = texts.map(text => {
    const [, key, value] = /^([A-Za-z0-9!#$%&'*+\-.^_`|~]+)=([\x20-\x7e]+)$/.exec(text) ?? [];
    if (key === undefined || value === undefined) return refuse(`Cannot parse tag value ${text}. Write KEY=VALUE`);
    return [key, value] as const;
  });
  return Object.fromEntries(pairs);
}

/** The check of a list flag by its parser. */
export const parsedBy =
  (parse: (texts: readonly string[]) => unknown) =>
  (value: FlagValue): string | undefined => {
    try {
      parse(value as readonly string[]);
      return undefined;
    } catch (error) {
      if (!isPosternError(error)) throw error;
      return error.message;
    }
  };

function refuse(message: string): never {
  throw new PosternError('usage.invalid', message);
}
