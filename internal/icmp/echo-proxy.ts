// The echo proxy of a connector: takes IP packets from the edge, sends echo requests into the private network, and
// returns replies as whole IP packets; answers TTL 1 itself, so that traceroute sees a hop. Source:
// docs/protocol/datagrams.md §7. Knows no operating system: see echo-platform.ts.

import { formatIp, type IpBytes } from '../net/address/ip.ts';
import {
  encodeIcmpPacket,
  IcmpPacketView,
  icmpHeaderBytes,
  icmpType,
  quotedBytesLimit,
} from '../net/packet/packet-icmp.ts';
import { ipv4HeaderBytes } from '../net/packet/packet-ipv4.ts';
import { ipv6HeaderBytes } from '../net/packet/packet-ipv6.ts';
import type { PacketProblem } from '../net/packet/packet-problem.ts';
import { copyBytes } from '../net/stream/copy-bytes.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ipPacketLimit } from '../wire/datagram/datagram-problem.ts';
import type { EchoFlow, EchoPlatform } from './echo-platform.ts';

/** Where replies go: one connection's datagrams. The datagram room's muxers have this shape. */
export interface ReplyPath {
  readonly open: boolean;
  /** Sends one whole IP packet (copied); false when it was dropped, which the path counts. */
  sendPacket(packet: Uint8Array): boolean;
}

export interface EchoProxyOptions {
  /** By family; an absent one drops its packets. */
  readonly platforms: { readonly 4?: EchoPlatform | undefined; readonly 6?: EchoPlatform | undefined };
  /** Addresses that time exceeded comes from. */
  readonly sources: { readonly 4: IpBytes; readonly 6: IpBytes };
  readonly allowDestination: (address: IpBytes) => boolean;
  readonly log: Logger;
  /** Flows at once; 1,024 by default: each may be a socket. */
  readonly flowLimit?: number | undefined;
  /** 10 s by default, as cloudflared has it. */
  readonly idleMs?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Why a well-formed packet went nowhere. */
export type EchoDrop =
  | 'not-echo-request'
  | 'destination-refused'
  /** No ICMP socket for the family. */
  | 'no-socket'
  | 'flow-limit'
  | 'send-failed'
  /** The reply does not fit a packet, or its connection is gone or full. */
  | 'reply-dropped';

export interface EchoCounters {
  requests: number;
  replies: number;
  timeExceeded: number;
  readonly dropped: Record<EchoDrop, number>;
  /** Packets that are not a whole, plain ICMP packet, by reason. */
  readonly refused: Partial<Record<PacketProblem, number>>;
}

interface Flow {
  readonly key: string;
  readonly visitor: IpBytes;
  readonly identifier: number;
  path: ReplyPath;
  lastActiveMs: number;
  echo: EchoFlow | undefined;
}

/** A flow this quiet may give way to a new one when the table is full: its reply has come or will not. */
const evictableMs = 1_000;

/** One for a connector, fed by all its connections; a flow answers to the one that asked last. */
export class EchoProxy {
  readonly counters: EchoCounters = {
    requests: 0,
    replies: 0,
    timeExceeded: 0,
    dropped: {
      'not-echo-request': 0,
      'destination-refused': 0,
      'no-socket': 0,
      'flow-limit': 0,
      'send-failed': 0,
      'reply-dropped': 0,
    },
    refused: {},
  };
  readonly #options: EchoProxyOptions;
  readonly #flowLimit: number;
  readonly #idleMs: number;
  readonly #now: () => number;
  /** In the order of last use, the oldest first. */
  readonly #flows = new Map<string, Flow>();
  readonly #view = new IcmpPacketView();
  readonly #scratch = new Uint8Array(ipPacketLimit);
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: EchoProxyOptions) {
    this.#options = options;
    this.#flowLimit = options.flowLimit ?? 1024;
    this.#idleMs = options.idleMs ?? 10_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Addresses that time exceeded comes from, of the families that have a socket. */
  get sources(): readonly string[] {
    const { platforms, sources } = this.#options;
    return ([4, 6] as const).filter(family => platforms[family] !== undefined).map(family => formatIp(sources[family]));
  }

  get activeFlows(): number {
    return this.#flows.size;
  }

  /** Takes one packet from the edge; replies go to `from`. Never throws. The view is valid only during the call. */
  packet(packet: Uint8Array, from: ReplyPath): void {
    if (this.#closed) return;
    const view = this.#view;
    const problem = view.decode(packet);
    const { dropped, refused } = this.counters;
    if (problem !== undefined) refused[problem] = (refused[problem] ?? 0) + 1;
    else if (view.type !== icmpType[view.family].echoRequest || view.code !== 0) dropped['not-echo-request'] += 1;
    else if (view.ttl <= 1) this.#expire(view, from);
    else if (!this.#options.allowDestination(view.destination)) dropped['destination-refused'] += 1;
    else this.#forward(view, from);
  }

  /** Ends all flows and closes the sockets. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const flow of this.#flows.values()) this.#end(flow);
    this.#options.platforms[4]?.close();
    this.#options.platforms[6]?.close();
  }

  #forward(view: IcmpPacketView, from: ReplyPath): void {
    const flow = this.#flowOf(view, from);
    if (flow === undefined) return;
    this.counters.requests += 1;
    if (flow.echo?.request(view.packet.subarray(view.icmpAt)) !== true) this.counters.dropped['send-failed'] += 1;
  }

  /** The flow of a request, moved to the end of the order; opened when there is none. */
  #flowOf(view: IcmpPacketView, from: ReplyPath): Flow | undefined {
    const key = keyOf(view);
    const known = this.#flows.get(key);
    if (known !== undefined) {
      this.#flows.delete(key);
      this.#flows.set(key, known);
      known.lastActiveMs = this.#now();
      // Replies follow the most recent request: the visitor's traffic may have moved to another connection.
      known.path = from;
      return known;
    }
    const platform = this.#options.platforms[view.family];
    if (platform === undefined) {
      this.counters.dropped['no-socket'] += 1;
      return undefined;
    }
    if (!this.#makeRoom()) {
      this.counters.dropped['flow-limit'] += 1;
      return undefined;
    }
    const flow: Flow = {
      key,
      visitor: copyBytes(view.source),
      identifier: view.identifier,
      path: from,
      lastActiveMs: this.#now(),
      echo: undefined,
    };
    flow.echo = platform.openFlow(copyBytes(view.destination), (address, sequence, data, ttl) =>
      this.#reply(flow, address, sequence, data, ttl),
    );
    if (flow.echo === undefined) {
      this.counters.dropped['flow-limit'] += 1;
      return undefined;
    }
    this.#flows.set(key, flow);
    this.#watch();
    return flow;
  }

  #makeRoom(): boolean {
    if (this.#flows.size < this.#flowLimit) return true;
    const [oldest] = this.#flows.values();
    if (oldest === undefined || this.#now() - oldest.lastActiveMs < evictableMs) return false;
    this.#end(oldest);
    return true;
  }

  #reply(flow: Flow, from: IpBytes, sequence: number, data: Uint8Array, ttl = 255): void {
    const headers = (from.length === 4 ? ipv4HeaderBytes : ipv6HeaderBytes) + icmpHeaderBytes;
    if (from.length !== flow.visitor.length || headers + data.length > ipPacketLimit) {
      this.counters.dropped['reply-dropped'] += 1;
      return;
    }
    flow.lastActiveMs = this.#now();
    const length = encodeIcmpPacket(this.#scratch, 0, {
      source: from,
      destination: flow.visitor,
      ttl,
      type: icmpType[from.length === 4 ? 4 : 6].echoReply,
      code: 0,
      identifier: flow.identifier,
      sequence,
      data,
    });
    if (flow.path.open && flow.path.sendPacket(this.#scratch.subarray(0, length))) this.counters.replies += 1;
    else this.counters.dropped['reply-dropped'] += 1;
  }

  #expire(view: IcmpPacketView, from: ReplyPath): void {
    const length = encodeIcmpPacket(this.#scratch, 0, {
      source: this.#options.sources[view.family],
      destination: view.source,
      ttl: 255,
      type: icmpType[view.family].timeExceeded,
      code: 0,
      identifier: 0,
      sequence: 0,
      data: view.packet.subarray(0, quotedBytesLimit[view.family]),
    });
    if (from.sendPacket(this.#scratch.subarray(0, length))) this.counters.timeExceeded += 1;
    else this.counters.dropped['reply-dropped'] += 1;
  }

  #end(flow: Flow): void {
    this.#flows.delete(flow.key);
    flow.echo?.close();
    if (this.#flows.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** One timer for all flows, running while there are any; a flow lives at most half its idle time too long. */
  #watch(): void {
    if (this.#sweep !== undefined) return;
    this.#sweep = setInterval(() => this.#endIdle(), Math.ceil(this.#idleMs / 2));
    this.#sweep.unref();
  }

  #endIdle(): void {
    const nowMs = this.#now();
    for (const flow of this.#flows.values()) if (nowMs - flow.lastActiveMs >= this.#idleMs) this.#end(flow);
  }
}

/** Source, destination and echo id, as a string of their bytes. */
function keyOf(view: IcmpPacketView): string {
  const { packet, sourceAt, addressBytes, icmpAt } = view;
  let key = '';
  for (let at = sourceAt; at < sourceAt + 2 * addressBytes; at += 1) key += String.fromCharCode(packet[at] ?? 0);
  return key + String.fromCharCode(packet[icmpAt + 4] ?? 0, packet[icmpAt + 5] ?? 0);
}
