// IP addresses as bytes: 4 for IPv4, 16 for IPv6. Parses and prints their text forms and names the special ranges.
// Sources: RFC 4291 §2.2 (IPv6 text), RFC 5952 (canonical form), RFC 6890 (special-purpose ranges). Knows no zones.

/** Address bytes in network order; the length (4 or 16) is the family. */
export type IpBytes = Uint8Array;

/** Parses dotted IPv4 (no leading zeros, no short forms) or IPv6 text; undefined when it is neither. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** Parses exactly four decimal parts of 0…255 without leading zeros. */
function parseIpv4(text: string): IpBytes | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 4; index += 1) {
    const part = parts[index] ?? '';
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

/** Parses IPv6 text with at most one `::` and an optional dotted tail. A zone (`%eth0`) is refused. */
function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const given = head.length + tail.length;
  // `::` stands for at least one group of zeros.
  if (halves.length === 2 ? given > 14 : given !== 16) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Canonical text: dotted IPv4, or RFC 5952 IPv6 (lower case, longest zero run as `::`, mapped IPv4 dotted). */
export function formatIp(bytes: IpBytes): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (isIpv4Mapped(bytes)) return `::ffff:${formatIp(bytes.subarray(12))}`;
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  const run = longestZeroRun(groups);
  const hex = (list: number[]): string => list.map(group => group.toString(16)).join(':');
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

export function sameIp(a: IpBytes, b: IpBytes): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether the bytes are `::ffff:a.b.c.d`. */
function isIpv4Mapped(bytes: IpBytes): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return false;
  return true;
}

/** The IPv4 address inside a mapped one (a view), else the address itself. */
export function unmapIpv4(bytes: IpBytes): IpBytes {
  return isIpv4Mapped(bytes) ? bytes.subarray(12) : bytes;
}

/** Text of a socket's address for records and limits: mapped IPv4 as IPv4, no zone; empty when the socket is closed. */
export function plainAddress(text: string | undefined): string {
  // The common case, once a request: IPv4 is plain.
  if (text === undefined || !text.includes(':')) return text ?? '';
  const bytes = parseIp(text.replace(/%.*$/, ''));
  return bytes === undefined ? '' : formatIp(unmapIpv4(bytes));
}

/** `0.0.0.0`, `::`. On most systems a datagram sent there arrives at the machine itself. */
export function isUnspecified(bytes: IpBytes): boolean {
  return bytes.every(byte => byte === 0);
}

/** 127.0.0.0/8, `::1`, and mapped forms of the former. */
export function isLoopback(bytes: IpBytes): boolean {
  const plain = unmapIpv4(bytes);
  if (plain.length === 4) return plain[0] === 127;
  return plain[15] === 1 && plain.subarray(0, 15).every(byte => byte === 0);
}

/** Whether only this machine can reach what listens on `host`, an address or `localhost`. */
export function isLoopbackHost(host: string): boolean {
  const address = parseIp(host);
  return address === undefined ? host === 'localhost' : isLoopback(address);
}

/** 169.254.0.0/16, fe80::/10, and mapped forms of the former. */
export function isLinkLocal(bytes: IpBytes): boolean {
  const plain = unmapIpv4(bytes);
  if (plain.length === 4) return plain[0] === 169 && plain[1] === 254;
  return plain[0] === 0xfe && ((plain[1] ?? 0) & 0xc0) === 0x80;
}

/** 224.0.0.0/4, ff00::/8, the IPv4 broadcast address, and mapped forms. */
export function isMulticastOrBroadcast(bytes: IpBytes): boolean {
  const plain = unmapIpv4(bytes);
  if (plain.length === 16) return plain[0] === 0xff;
  return ((plain[0] ?? 0) & 0xf0) === 0xe0 || plain.every(byte => byte === 255);
}

/**
 * Whether the address names the machine itself, its link, or a group rather than one host of a network: what a private
 * network refuses as a destination unless a route names it. (`0.0.0.0` reaches loopback services on Linux.)
 */
export function isSpecialDestination(bytes: IpBytes): boolean {
  const plain = unmapIpv4(bytes);
  return isLoopback(plain) || isLinkLocal(plain) || isMulticastOrBroadcast(plain) || isUnspecified(plain);
}

/** Bytes of colon-separated groups; `dottedTail` allows an IPv4 address as the last group. '' gives none. */
function parseGroups(text: string, dottedTail: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (dottedTail && index === groups.length - 1 && group.includes('.')) {
      const dotted = parseIpv4(group);
      if (dotted === undefined) return undefined;
      bytes.push(...dotted);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes.length > 16 ? undefined : bytes;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  const best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) {
      best.length = length;
      best.start = index - length + 1;
    }
  }
  return best;
}
