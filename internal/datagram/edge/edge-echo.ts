// Echo requests from the edge down the tunnel, for ping and traceroute: sends whole packets and gives each reply or time
// exceeded to the probe it answers. Source: docs/protocol/datagrams.md §7.4, §7.5.

import { randomInt } from 'node:crypto';
import { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import { sameIp } from '../../net/address/ip.ts';
import { encodeIcmpPacket, IcmpPacketView, icmpProtocol, icmpType } from '../../net/packet/packet-icmp.ts';
import { ipv4DestinationAt } from '../../net/packet/packet-ipv4.ts';
import { ipv6DestinationAt, ipv6HeaderBytes } from '../../net/packet/packet-ipv6.ts';
import type { PacketProblem } from '../../net/packet/packet-problem.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import { ipPacketLimit } from '../../wire/datagram/datagram-problem.ts';
import type { PacketHandler, PacketReturnPath } from '../channel/packet-path.ts';
import type { EdgeMux } from './edge-mux.ts';

export interface ProbeRequest {
  readonly destination: IpBytes;
  readonly ttl: number;
  /** 0…65535; not used again by this client before the probe has settled. */
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly timeoutMs: number;
}

export type ProbeResult =
  | {
      readonly kind: 'reply';
      readonly from: IpBytes;
      readonly rttMs: number;
      readonly ttl: number;
      readonly bytes: number;
    }
  | { readonly kind: 'time-exceeded'; readonly from: IpBytes; readonly rttMs: number }
  | { readonly kind: 'timeout' }
  /** The packet could not be sent: connection gone, queue full, or too large for the path. */
  | { readonly kind: 'unsent' };

interface Pending {
  readonly mux: PacketReturnPath;
  readonly destination: IpBytes;
  readonly sentMs: number;
  readonly settle: (result: ProbeResult) => void;
  readonly timer: NodeJS.Timeout;
}

/** Echo clients at once: one id each of the 16-bit space, leaving most of it free so that finding one is quick. */
const clientLimit = 16_384;

/** All echo clients of an edge. Set it as the packet handler of every muxer it probes through. */
export class EdgeEcho implements PacketHandler {
  /** Packets that answered no probe, and packets refused with their reasons. */
  readonly counters = { unmatched: 0, refused: {} as Partial<Record<PacketProblem, number>> };
  readonly #sources: { readonly 4: IpBytes; readonly 6: IpBytes };
  readonly #identifiers = new Set<number>();
  readonly #pending = new Map<number, Pending>();
  readonly #view = new IcmpPacketView();

  /** @param sources addresses the requests come from; replies are addressed to them, they need not exist anywhere */
  constructor(sources: { readonly 4: IpBytes; readonly 6: IpBytes }) {
    this.#sources = sources;
  }

  /** A client with an echo id of its own, so that clients never see each other's replies. Close it. */
  createClient(): EchoClient {
    if (this.#identifiers.size >= clientLimit)
      throw new PosternError('flow.limit', `Too many echo clients at once, at most ${clientLimit} are allowed`);
    let identifier = randomInt(0x1_0000);
    while (this.#identifiers.has(identifier)) identifier = (identifier + 1) & 0xffff;
    this.#identifiers.add(identifier);
    return new EchoClient(identifier, this.#probe, () => this.#identifiers.delete(identifier));
  }

  packet(packet: Uint8Array, from: PacketReturnPath): void {
    const view = this.#view;
    const problem = view.decode(packet);
    if (problem !== undefined) {
      this.counters.refused[problem] = (this.counters.refused[problem] ?? 0) + 1;
      return;
    }
    const types = icmpType[view.family];
    if (view.type === types.echoReply) {
      const pending = this.#match(view.identifier, view.sequence, view.source, from);
      const rttMs = performance.now() - (pending?.sentMs ?? 0);
      const bytes = packet.length - view.icmpAt;
      pending?.settle({ kind: 'reply', from: copyBytes(view.source), rttMs, ttl: view.ttl, bytes });
    } else if (view.type === types.timeExceeded) {
      const quoted = readQuotedEcho(view.data, view.family);
      const pending =
        quoted === undefined ? undefined : this.#match(quoted.identifier, quoted.sequence, quoted.destination, from);
      pending?.settle({
        kind: 'time-exceeded',
        from: copyBytes(view.source),
        rttMs: performance.now() - pending.sentMs,
      });
    } else this.counters.unmatched += 1;
  }

  /** The probe with these numbers, if it went to this address over this connection. */
  #match(identifier: number, sequence: number, address: IpBytes, from: PacketReturnPath): Pending | undefined {
    const pending = this.#pending.get(identifier * 0x1_0000 + sequence);
    if (pending !== undefined && pending.mux === from && sameIp(pending.destination, address)) return pending;
    this.counters.unmatched += 1;
    return undefined;
  }

  readonly #probe = (identifier: number, mux: EdgeMux, request: ProbeRequest): Promise<ProbeResult> => {
    const { destination, ttl, sequence, data, timeoutMs } = request;
    const family = destination.length === 4 ? 4 : 6;
    const packet = new Uint8Array(ipPacketLimit);
    const key = identifier * 0x1_0000 + sequence;
    if (this.#pending.has(key))
      throw new PosternError('usage.invalid', `Echo sequence ${sequence} is still waiting for its reply`);
    const length = encodeIcmpPacket(packet, 0, {
      source: this.#sources[family],
      destination,
      ttl,
      type: icmpType[family].echoRequest,
      code: 0,
      identifier,
      sequence,
      data,
    });
    return new Promise(resolve => {
      const settle = (result: ProbeResult): void => {
        clearTimeout(timer);
        this.#pending.delete(key);
        resolve(result);
      };
      const timer = setTimeout(() => settle({ kind: 'timeout' }), timeoutMs);
      this.#pending.set(key, { mux, destination, sentMs: performance.now(), settle, timer });
      if (!mux.sendPacket(packet.subarray(0, length))) settle({ kind: 'unsent' });
    });
  };
}

/** One user of echo requests: a running ping or traceroute. */
export class EchoClient {
  readonly identifier: number;
  readonly #probe: (identifier: number, mux: EdgeMux, request: ProbeRequest) => Promise<ProbeResult>;
  readonly #release: () => void;

  constructor(
    identifier: number,
    probe: (identifier: number, mux: EdgeMux, request: ProbeRequest) => Promise<ProbeResult>,
    release: () => void,
  ) {
    this.identifier = identifier;
    this.#probe = probe;
    this.#release = release;
  }

  /** Sends one echo request over `mux`. Never rejects; throws RangeError when the data is too long for a packet. */
  probe(mux: EdgeMux, request: ProbeRequest): Promise<ProbeResult> {
    return this.#probe(this.identifier, mux, request);
  }

  /** Gives the echo id back; call once no probe is waiting. */
  close(): void {
    this.#release();
  }
}

/** The echo request inside an ICMP error; the quote may be cut, so only what is needed is read. */
function readQuotedEcho(
  quote: Uint8Array,
  family: 4 | 6,
): { identifier: number; sequence: number; destination: IpBytes } | undefined {
  const headerBytes = family === 4 ? ((quote[0] ?? 0) & 0x0f) * 4 : ipv6HeaderBytes;
  if (quote.length < headerBytes + 8 || (quote[0] ?? 0) >>> 4 !== family) return undefined;
  const protocol = family === 4 ? quote[9] : quote[6];
  if (protocol !== icmpProtocol[family] || quote[headerBytes] !== icmpType[family].echoRequest) return undefined;
  const word = (at: number): number => ((quote[at] ?? 0) << 8) | (quote[at + 1] ?? 0);
  const at = family === 4 ? ipv4DestinationAt : ipv6DestinationAt;
  return {
    identifier: word(headerBytes + 4),
    sequence: word(headerBytes + 6),
    destination: quote.subarray(at, at + (family === 4 ? 4 : 16)),
  };
}
