// What the sender and receiver of a UDP flow's payloads sees of the flow: how it is opened, and what it tells.

import type { FlowEnd } from '../../datagram/edge/edge-flow.ts';
import type { IpBytes } from '../../net/address/ip.ts';

export interface UdpFlowEvents {
  /** Payloads held while the flow is being registered; default: a client's first flight. */
  readonly hold?: number;
  /** One payload from the destination; the view is valid only during the call. Must not throw. */
  readonly payload: (payload: Uint8Array) => void;
  /** Exactly once, not before the flow was handed out. Must not throw. */
  readonly ended: (end: FlowEnd) => void;
}

export interface UdpFlow {
  /** Where it goes; undefined while a name is being resolved. */
  readonly address: IpBytes | undefined;
  /** Sends one payload, copied if it has to wait; false when it was dropped. */
  send(payload: Uint8Array): boolean;
  /** Idempotent. */
  close(): void;
}

/** Opens a flow to a destination that the opener knows. Throws 'flow.denied' and 'flow.limit'. */
export type OpenUdpFlow = (idleMs: number, events: UdpFlowEvents) => UdpFlow;
