// Echo over one socket for all flows: gives each flow an echo id of its own per destination and maps replies back, which
// is a NAT keyed (chosen id, destination) → flow. For macOS, and for raw sockets on Linux. Source:
// docs/protocol/datagrams.md §7.3.

import type { IpBytes } from '../net/address/ip.ts';
import { checksum, updateChecksum } from '../net/packet/checksum.ts';
import { icmpHeaderBytes, icmpType } from '../net/packet/packet-icmp.ts';
import type { EchoFlow, EchoPlatform, EchoReplyHandler, IcmpSocket } from './echo-platform.ts';

interface Mapping {
  readonly identifier: number;
  readonly destination: IpBytes;
  readonly reply: EchoReplyHandler;
}

const identifiers = 0x1_0000;
/** Largest message: an IP packet of 1280 bytes less its header. */
const messageLimit = 1280;

export class SharedEcho implements EchoPlatform {
  readonly name: string;
  /** Messages that were no reply to any flow: other programs' pings, errors, forgeries. */
  unmatched = 0;
  readonly #family: 4 | 6;
  readonly #socket: IcmpSocket;
  /** By destination's bytes, then by chosen id. */
  readonly #mappings = new Map<string, Map<number, Mapping>>();
  readonly #scratch = new Uint8Array(messageLimit);
  #next: number;

  /** @param firstIdentifier where to begin choosing: random, so that other programs' ids are rarely met */
  constructor(name: string, family: 4 | 6, socket: IcmpSocket, firstIdentifier: number) {
    this.name = name;
    this.#family = family;
    this.#socket = socket;
    this.#next = firstIdentifier % identifiers;
    socket.receive((from, message, ttl) => this.#receive(from, message, ttl));
  }

  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow | undefined {
    const key = keyOf(destination);
    const taken = this.#mappings.get(key) ?? new Map<number, Mapping>();
    if (taken.size >= identifiers) return undefined;
    while (taken.has(this.#next)) this.#next = (this.#next + 1) % identifiers;
    const mapping: Mapping = { identifier: this.#next, destination, reply };
    this.#next = (this.#next + 1) % identifiers;
    taken.set(mapping.identifier, mapping);
    this.#mappings.set(key, taken);
    return {
      request: message => this.#request(mapping, message),
      close: () => {
        if (taken.get(mapping.identifier) !== mapping) return;
        taken.delete(mapping.identifier);
        if (taken.size === 0 && this.#mappings.get(key) === taken) this.#mappings.delete(key);
      },
    };
  }

  close(): void {
    this.#socket.close();
  }

  #request(mapping: Mapping, message: Uint8Array): boolean {
    const scratch = this.#scratch;
    if (message.length < icmpHeaderBytes || message.length > scratch.length) return false;
    scratch.set(message);
    const { identifier } = mapping;
    scratch[4] = identifier >>> 8;
    scratch[5] = identifier;
    if (this.#family === 4) {
      // Only one word changed, so the data need not be summed again. For IPv6 the system computes the checksum.
      const sum = updateChecksum(word(message, 2), word(message, 4), identifier);
      scratch[2] = sum >>> 8;
      scratch[3] = sum;
    }
    return this.#socket.send(mapping.destination, scratch.subarray(0, message.length));
  }

  #receive(from: IpBytes, received: Uint8Array, told: number | undefined): void {
    const message = this.#family === 4 ? stripIpv4Header(received) : received;
    const mapping =
      message.length >= icmpHeaderBytes &&
      message[0] === icmpType[this.#family].echoReply &&
      message[1] === 0 &&
      // Raw sockets get IPv4 messages before anyone has looked at their checksum.
      (this.#family === 6 || checksum(message, 0, message.length) === 0)
        ? this.#mappings.get(keyOf(from))?.get(word(message, 4))
        : undefined;
    if (mapping === undefined) this.unmatched += 1;
    else {
      const ttl = told ?? (message === received ? undefined : received[ttlAt]);
      mapping.reply(mapping.destination, word(message, 6), message.subarray(icmpHeaderBytes), ttl);
    }
  }
}

/** Of an IPv4 header. */
const ttlAt = 8;

/** ICMP echo replies begin with 0, IPv4 headers with 0x4n: where a header is there it is left out. */
function stripIpv4Header(message: Uint8Array): Uint8Array {
  const first = message[0] ?? 0;
  return first >>> 4 === 4 ? message.subarray((first & 0x0f) * 4) : message;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function keyOf(address: IpBytes): string {
  return String.fromCharCode(...address);
}
