// IP prefixes (CIDR blocks): parse, print, contain, overlap. Source: RFC 4632 §3.1, RFC 4291 §2.3.

import { formatIp, type IpBytes, parseIp } from './ip.ts';

/** A block of addresses. Host bits of `bytes` are zero; `bits` is 0…32 or 0…128 by the family of `bytes`. */
export interface Prefix {
  readonly bytes: IpBytes;
  readonly bits: number;
}

/** Parses `10.1.0.0/16`, or a bare address as a block of one. Undefined when malformed or when host bits are set. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  if (slash < 0) return { bytes: address, bits: address.length * 8 };
  const length = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const bits = Number(length);
  if (bits > address.length * 8) return undefined;
  const masked = maskAddress(address, bits);
  return masked.every((byte, index) => byte === address[index]) ? { bytes: masked, bits } : undefined;
}

/** Canonical text, always with a length: `10.1.0.0/16`, `192.0.2.1/32`. Equal prefixes have equal text. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.bytes)}/${prefix.bits}`;
}

/** Whether `address` lies in the block. Families are compared as they are: a mapped address is IPv6. */
export function prefixContains(prefix: Prefix, address: IpBytes): boolean {
  if (address.length !== prefix.bytes.length) return false;
  const whole = prefix.bits >> 3;
  for (let index = 0; index < whole; index += 1) if (address[index] !== prefix.bytes[index]) return false;
  const rest = prefix.bits & 7;
  if (rest === 0) return true;
  return (((address[whole] ?? 0) ^ (prefix.bytes[whole] ?? 0)) & (0xff << (8 - rest)) & 0xff) === 0;
}

/** Whether all of `inner` lies in `outer`; equal ones do. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && prefixContains(outer, inner.bytes);
}

/** A copy of `address` with all bits behind the first `bits` cleared. */
export function maskAddress(address: IpBytes, bits: number): IpBytes {
  const masked = new Uint8Array(address.length);
  const whole = bits >> 3;
  masked.set(address.subarray(0, whole));
  if (whole < address.length) masked[whole] = (address[whole] ?? 0) & (0xff << (8 - (bits & 7)));
  return masked;
}
