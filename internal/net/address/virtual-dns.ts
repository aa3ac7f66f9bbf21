// The virtual DNS address of a private network: traffic to it goes to a resolver near the connector instead.
// Source: docs/protocol/datagrams.md §8.

import { randomInt } from 'node:crypto';
import { getServers } from 'node:dns';
import { parseIpPort } from './host-port.ts';
import { type IpBytes, parseIp, sameIp } from './ip.ts';

export interface ResolverAddress {
  readonly address: IpBytes;
  readonly port: number;
}

/** `[2606:4700:cf1:2000::1]:53`. */
export const virtualDns: ResolverAddress = {
  address: Uint8Array.of(0x26, 0x06, 0x47, 0, 0x0c, 0xf1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  port: 53,
};
const fallback: ResolverAddress = { address: Uint8Array.of(127, 0, 0, 1), port: 53 };

/** Whether a private destination is the virtual DNS service. */
export function isVirtualDns(address: IpBytes, port: number): boolean {
  return port === virtualDns.port && sameIp(address, virtualDns.address);
}

/** Chooses a resolver for one flow: one of the given addresses by chance, else the system's first. */
export function chooseResolver(
  given: readonly ResolverAddress[],
  systemServers: () => readonly string[] = getServers,
): ResolverAddress {
  if (given.length > 0) return given[randomInt(given.length)] ?? fallback;
  for (const text of systemServers()) {
    // Node prints a port only where it is not 53; zones cannot be dialled by bytes and are passed over.
    const parsed = parseIpPort(text);
    if (parsed !== undefined) return parsed;
    const address = parseIp(text);
    if (address !== undefined) return { address, port: 53 };
  }
  return fallback;
}
