// A series of echo requests to one address: keeps its echo id and its connection over the probes, as a running ping does,
// so that the connector sees one flow. Source: docs/protocol/datagrams.md §7.5.

import type { EchoClient, ProbeResult } from '../datagram/edge/edge-echo.ts';
import type { EdgeMux } from '../datagram/edge/edge-mux.ts';
import type { IpBytes } from '../net/address/ip.ts';
import type { FlowEndReason } from './flows/flow.ts';
import type { OpenFlow } from './flows/flow-tracker.ts';

export interface Probe {
  /** 1…255. */
  readonly ttl: number;
  /** 0…65535; not in use by another probe of this session that still waits. */
  readonly sequence: number;
  /** At most 1,232 bytes for IPv6 and 1,252 for IPv4, so that the packet has 1,280. */
  readonly data: Uint8Array;
  readonly timeoutMs: number;
}

/** `unreachable`: no connection of the tunnel carries datagrams. */
export type EchoResult = ProbeResult | { readonly kind: 'unreachable' };

export class EchoSession {
  readonly destination: IpBytes;
  readonly flow: OpenFlow;
  readonly #client: EchoClient;
  readonly #pick: () => EdgeMux | undefined;
  #mux: EdgeMux | undefined;
  #up = 0;
  #down = 0;
  #waiting = 0;
  #closed = false;

  /** Use PrivateNetwork.openEcho. Owns `client` and `flow`. */
  constructor(destination: IpBytes, client: EchoClient, flow: OpenFlow, pick: () => EdgeMux | undefined) {
    this.destination = destination;
    this.flow = flow;
    this.#client = client;
    this.#pick = pick;
    flow.measure = () => ({ up: this.#up, down: this.#down });
    flow.cut = reason => this.close(reason);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends one echo request and waits for what comes of it. Never rejects for what the network does. */
  async probe(request: Probe): Promise<EchoResult> {
    if (this.#closed) return { kind: 'unreachable' };
    if (this.#mux?.open !== true) this.#mux = this.#pick();
    if (this.#mux === undefined) return { kind: 'unreachable' };
    this.#waiting += 1;
    try {
      const result = await this.#client.probe(this.#mux, { destination: this.destination, ...request });
      if (result.kind !== 'unsent') this.#up += request.data.length;
      if (result.kind === 'reply') this.#down += request.data.length;
      return result;
    } finally {
      this.#waiting -= 1;
      if (this.#closed && this.#waiting === 0) this.#client.close();
    }
  }

  /** Ends the flow; probes that wait still settle. Idempotent. */
  close(reason: FlowEndReason = 'closed'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.flow.end(reason);
    // The echo id may be given to somebody else only when no reply to it is awaited.
    if (this.#waiting === 0) this.#client.close();
  }
}
