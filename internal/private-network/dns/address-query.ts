// Questions for the addresses of a name and their answers, for names that visitors of the on-ramps give. Source: RFC 1035
// §3.2, §4.1; RFC 3596 §2 (AAAA); RFC 2181 §8 (TTL).

import { type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { type IpBytes, parseIp, unmapIpv4 } from '../../net/address/ip.ts';

export type AddressType = 'A' | 'AAAA';
export const addressTypes: readonly AddressType[] = ['A', 'AAAA'];

/** What a resolver knows of a name in one family. */
export interface AddressAnswer {
  /** In the resolver's order; none: there is no such name, or it has no address of this family. */
  readonly addresses: readonly IpBytes[];
  /** Least TTL on the way to the addresses; 0 without addresses. */
  readonly ttlSeconds: number;
}

const noAddress: AddressAnswer = { addresses: [], ttlSeconds: 0 };
/** Aliases followed in one answer: resolvers themselves stop at about as many. */
const maxAliases = 8;

/** A recursive query with id 0 for a host name in lower case, at most 253 characters with labels of at most 63. */
export function encodeAddressQuery(name: string, type: AddressType): Buffer {
  return encode({ type: 'query', id: 0, flags: RECURSION_DESIRED, questions: [{ type, name }] });
}

/**
 * Reads the response to such a query: aliases are followed within it. Undefined when it is malformed or reports a failure.
 * That it answers the question must have been checked.
 */
export function decodeAddressAnswer(message: Uint8Array, name: string, type: AddressType): AddressAnswer | undefined {
  const packet = read(message);
  if (packet?.rcode === 'NXDOMAIN') return noAddress;
  if (packet?.rcode !== 'NOERROR') return undefined;
  let owner = name;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (let hops = 0; hops <= maxAliases; hops += 1) {
    const addresses: IpBytes[] = [];
    let alias: string | undefined;
    for (const answer of packet.answers ?? []) {
      if (answer.name.toLowerCase() !== owner || !('ttl' in answer) || answer.class !== 'IN') continue;
      if (answer.type === type) {
        const address = parseIp(answer.data);
        if (address === undefined) return undefined;
        addresses.push(unmapIpv4(address));
      } else if (answer.type === 'CNAME') alias = answer.data.toLowerCase();
      else continue;
      ttlSeconds = Math.min(ttlSeconds, ttlOf(answer.ttl));
    }
    if (addresses.length > 0) return { addresses, ttlSeconds };
    if (alias === undefined) break;
    owner = alias;
  }
  return noAddress;
}

/** The packet, or undefined when it is malformed. */
function read(message: Uint8Array): (DecodedPacket & { readonly rcode?: string }) | undefined {
  try {
    return decode(Buffer.from(message.buffer, message.byteOffset, message.length));
  } catch {
    // dns-packet throws errors of several kinds for what it cannot read; that there is no answer in it is all there is to say.
    return undefined;
  }
}

/** With the highest bit set it counts as 0 (RFC 2181 §8). */
function ttlOf(ttl = 0): number {
  return ttl >= 0x8000_0000 ? 0 : ttl;
}
