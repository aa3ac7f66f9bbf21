// Questions for the addresses of a name and their answers, for names that visitors of the on-ramps give. Source: RFC 1035
// §3.2, §4.1; RFC 3596 §2 (AAAA); RFC 2181 §8 (TTL).

import { type IpBytes, unmapIpv4 } from '../../../net/ip.ts';

export const addressType = { A: 1, AAAA: 28 } as const;
export type AddressType = (typeof addressType)[keyof typeof addressType];

/** What a resolver knows of a name in one family. */
export interface AddressAnswer {
  /** In the resolver's order; none: there is no such name, or it has no address of this family. */
  readonly addresses: readonly IpBytes[];
  /** Least TTL on the way to the addresses; 0 without addresses. */
  readonly ttlSeconds: number;
}

const headerBytes = 12;
const classInternet = 1;
const typeCname = 5;
const noSuchName = 3;
/** Aliases followed in one answer: resolvers themselves stop at about as many. */
const maxAliases = 8;

/** A recursive query with id 0 for a host name in lower case, at most 253 characters with labels of at most 63. */
export function encodeAddressQuery(name: string, type: AddressType): Buffer {
  const labels = name.split('.').map(label => Buffer.from(label, 'latin1'));
  return Buffer.concat([
    // Recursion desired, one question.
    Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels.flatMap(label => [Buffer.from([label.length]), label]),
    Buffer.from([0, 0, type, 0, classInternet]),
  ]);
}

/**
 * Reads the response to such a query: aliases are followed within it. Undefined when it is malformed or reports a failure.
 * That it answers the question must have been checked.
 */
export function decodeAddressAnswer(message: Uint8Array, name: string, type: AddressType): AddressAnswer | undefined {
  if (message.length < headerBytes) return undefined;
  const code = byte(message, 3) & 0x0f;
  if (code === noSuchName) return { addresses: [], ttlSeconds: 0 };
  if (code !== 0) return undefined;
  let at = headerBytes;
  for (let questions = word(message, 4); questions > 0; questions -= 1) {
    const question = readName(message, at);
    if (question === undefined) return undefined;
    at = question.end + 4;
  }
  const aliases = new Map<string, { readonly target: string; readonly ttl: number }>();
  const addresses = new Map<string, { readonly found: IpBytes[]; ttl: number }>();
  const addressBytes = type === addressType.A ? 4 : 16;
  for (let records = word(message, 6); records > 0; records -= 1) {
    const owner = readName(message, at);
    if (owner === undefined) return undefined;
    const data = owner.end + 10;
    const length = word(message, owner.end + 8);
    if (data + length > message.length) return undefined;
    at = data + length;
    if (word(message, owner.end + 2) !== classInternet) continue;
    const ttl = readTtl(message, owner.end + 4);
    const recordType = word(message, owner.end);
    if (recordType === typeCname) {
      const target = readName(message, data);
      if (target === undefined) return undefined;
      aliases.set(owner.name, { target: target.name, ttl });
    } else if (recordType === type && length === addressBytes) {
      const address = unmapIpv4(Uint8Array.from(message.subarray(data, data + length)));
      const known = addresses.get(owner.name);
      if (known === undefined) addresses.set(owner.name, { found: [address], ttl });
      else {
        known.found.push(address);
        known.ttl = Math.min(known.ttl, ttl);
      }
    }
  }
  let owner = name;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (let hops = 0; hops <= maxAliases; hops += 1) {
    const known = addresses.get(owner);
    if (known !== undefined) return { addresses: known.found, ttlSeconds: Math.min(ttlSeconds, known.ttl) };
    const alias = aliases.get(owner);
    if (alias === undefined) break;
    owner = alias.target;
    ttlSeconds = Math.min(ttlSeconds, alias.ttl);
  }
  return { addresses: [], ttlSeconds: 0 };
}

/** A name in lower case and where it ends; undefined when it is cut, too long, or points forwards. */
function readName(message: Uint8Array, start: number): { readonly name: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let bytes = 0;
  let end: number | undefined;
  // Each pointer must lead before the one that led here, so this ends.
  let limit = start;
  for (let at = start; ; ) {
    if (at >= message.length) return undefined;
    const length = byte(message, at);
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: end ?? at + 1 };
    if ((length & 0xc0) === 0xc0) {
      const target = word(message, at) & 0x3fff;
      if (at + 2 > message.length || target >= limit) return undefined;
      end ??= at + 2;
      limit = target;
      at = target;
      continue;
    }
    bytes += length + 1;
    if ((length & 0xc0) !== 0 || bytes > 255 || at + 1 + length > message.length) return undefined;
    labels.push(Buffer.from(message.subarray(at + 1, at + 1 + length)).toString('latin1'));
    at += 1 + length;
  }
}

/** With the highest bit set it counts as 0 (RFC 2181 §8). */
function readTtl(message: Uint8Array, at: number): number {
  const ttl = word(message, at) * 0x1_0000 + word(message, at + 2);
  return ttl >= 0x8000_0000 ? 0 : ttl;
}

function byte(message: Uint8Array, at: number): number {
  return message[at] ?? 0;
}

function word(message: Uint8Array, at: number): number {
  return (byte(message, at) << 8) | byte(message, at + 1);
}
