// Echo on Windows: the system sends each request and matches its reply; id and sequence on the wire are its own, so the
// flow remembers what the visitor's were. No thread waits. Source: docs/protocol/datagrams.md §7.3; Windows iphlpapi
// documentation.

import type { IpBytes } from '../net/address/ip.ts';
import { icmpHeaderBytes } from '../net/packet/packet-icmp.ts';
import type { EchoFlow, EchoPlatform, EchoReplyHandler } from './echo-platform.ts';

/** The system calls, in the one shape both families have. */
export interface EchoCalls {
  /**
   * Sends one request; `done` is called once, later and never within this call, with the status and the data that came
   * back (valid only during the call). Returns false, without `done`, when the request was not taken.
   */
  send(request: EchoCall, done: (status: number, data: Uint8Array) => void): boolean;
  /** Idempotent. Calls still waiting are abandoned without `done`. */
  close(): void;
}

export interface EchoCall {
  readonly destination: IpBytes;
  /** Undefined = the system chooses. */
  readonly source: IpBytes | undefined;
  /** Copied. */
  readonly data: Uint8Array;
  readonly timeoutMs: number;
}

const statusOk = 0;
/** How long the system waits for a reply; cloudflared's value. */
const timeoutMs = 1_000;
/** Requests waiting at once in one family: each holds a kernel request and an event for up to a second. */
const waitingLimit = 256;

export class WindowsEcho implements EchoPlatform {
  readonly name = 'IcmpSendEcho2';
  /** Requests that ended without a reply, by the system's status: 11010 timed out, 11003 host unreachable, … */
  readonly failures = new Map<number, number>();
  readonly #calls: EchoCalls;
  readonly #source: IpBytes | undefined;
  #waiting = 0;

  constructor(calls: EchoCalls, source: IpBytes | undefined) {
    this.#calls = calls;
    this.#source = source;
  }

  openFlow(destination: IpBytes, reply: EchoReplyHandler): EchoFlow {
    let open = true;
    return {
      request: message => {
        if (!open || this.#waiting >= waitingLimit) return false;
        const sequence = ((message[6] ?? 0) << 8) | (message[7] ?? 0);
        const taken = this.#calls.send(
          { destination, source: this.#source, data: message.subarray(icmpHeaderBytes), timeoutMs },
          (status, data) => {
            this.#waiting -= 1;
            if (status !== statusOk) this.failures.set(status, (this.failures.get(status) ?? 0) + 1);
            else if (open) reply(destination, sequence, data);
          },
        );
        if (taken) this.#waiting += 1;
        return taken;
      },
      close: () => {
        open = false;
      },
    };
  }

  close(): void {
    this.#calls.close();
  }
}
