// A UDP flow whose destination is still a name: holds the first payloads until the name has an address, then is the flow
// to it.

import { describeError, isPosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import { udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import type { UdpFlow, UdpFlowEvents } from './udp-flow.ts';

/** Payloads held meanwhile: a client's first flight, as for a flow that is being registered. */
const waitingLimit = 16;

export class NamedUdpFlow implements UdpFlow {
  readonly #events: UdpFlowEvents;
  #waiting: Uint8Array[] = [];
  #flow: UdpFlow | undefined;
  #ended = false;

  /**
   * @param opening opens the flow once the name is resolved, with the events that it is given; when it rejects, the flow
   *   ends as refused
   * @param dropped called for each payload held that could not be sent
   */
  constructor(
    opening: Promise<(events: UdpFlowEvents) => UdpFlow>,
    events: UdpFlowEvents,
    dropped: () => void = () => undefined,
  ) {
    this.#events = events;
    opening
      .then(open => this.#open(open, dropped))
      .catch((error: unknown) => {
        const rateLimited = isPosternError(error, 'flow.limit');
        this.#end({ kind: 'refused', message: describeError(error), rateLimited });
      });
  }

  get address(): IpBytes | undefined {
    return this.#flow?.address;
  }

  send(payload: Uint8Array): boolean {
    if (this.#flow !== undefined) return this.#flow.send(payload);
    // Nothing larger fits a datagram of the tunnel, so what waits has a bound in bytes too.
    if (this.#ended || this.#waiting.length >= waitingLimit || payload.length > udpPayloadLimit) return false;
    this.#waiting.push(copyBytes(payload));
    return true;
  }

  close(): void {
    if (this.#flow !== undefined) this.#flow.close();
    else this.#end({ kind: 'closed' });
  }

  #open(open: (events: UdpFlowEvents) => UdpFlow, dropped: () => void): void {
    if (this.#ended) return;
    const flow = open({ payload: this.#events.payload, ended: end => this.#end(end) });
    this.#flow = flow;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const payload of waiting) if (!flow.send(payload)) dropped();
  }

  #end(end: Parameters<UdpFlowEvents['ended']>[0]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = [];
    this.#events.ended(end);
  }
}
