// A private network made of memory, at the echo proxy's seams: a platform whose flows are answered by it, and a shared
// ICMP socket for the NAT. Both keep the contracts of echo-platform.ts: later delivery, views that are overwritten.

import type { EchoFlow, EchoPlatform, EchoReplyHandler, IcmpSocket } from '../../internal/icmp/echo-platform.ts';
import type { IpBytes } from '../../internal/net/address/ip.ts';
import { icmpType, writeIcmpMessage } from '../../internal/net/packet/packet-icmp.ts';

/** Answers every request of a flow after a turn, except where `silent`. */
export class MemoryPlatform implements EchoPlatform {
  readonly name = 'memory';
  readonly requests: Uint8Array[] = [];
  openFlows = 0;
  closed = false;
  /** Flows it has room for. */
  limit = Number.POSITIVE_INFINITY;
  silent = false;

  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow | undefined {
    if (this.openFlows >= this.limit) return undefined;
    this.openFlows += 1;
    let open = true;
    return {
      request: message => {
        const copy = new Uint8Array(message);
        this.requests.push(copy);
        if (!this.silent)
          setImmediate(() => {
            if (!open) return;
            const data = copy.slice(8);
            reply(destination, ((copy[6] ?? 0) << 8) | (copy[7] ?? 0), data);
            data.fill(0xee);
          });
        return true;
      },
      close: () => {
        if (open) this.openFlows -= 1;
        open = false;
      },
    };
  }

  close(): void {
    this.closed = true;
  }
}

/** A shared socket of one family. `answer` is called by the test, so that it decides what comes back and when. */
export class MemoryIcmpSocket implements IcmpSocket {
  readonly family: 4 | 6;
  readonly sent: Array<{ readonly destination: IpBytes; readonly message: Uint8Array }> = [];
  closed = false;
  #handler: ((from: IpBytes, message: Uint8Array) => void) | undefined;

  constructor(family: 4 | 6) {
    this.family = family;
  }

  send(destination: IpBytes, message: Uint8Array): boolean {
    this.sent.push({ destination, message: new Uint8Array(message) });
    return true;
  }

  receive(handler: (from: IpBytes, message: Uint8Array) => void): void {
    this.#handler = handler;
  }

  /** Delivers bytes as they are. */
  deliver(from: IpBytes, message: Uint8Array): void {
    const copy = new Uint8Array(message);
    this.#handler?.(from, copy);
    copy.fill(0xee);
  }

  /** The echo reply to a message that was sent. */
  replyTo(message: Uint8Array): Uint8Array {
    const out = new Uint8Array(message.length);
    writeIcmpMessage(
      out,
      0,
      {
        type: icmpType[this.family].echoReply,
        code: 0,
        identifier: ((message[4] ?? 0) << 8) | (message[5] ?? 0),
        sequence: ((message[6] ?? 0) << 8) | (message[7] ?? 0),
        data: message.subarray(8),
      },
      0,
    );
    return out;
  }

  close(): void {
    this.closed = true;
  }
}
