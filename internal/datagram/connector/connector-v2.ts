// The connector's end of datagram v2: one muxer and one table of sessions a connection; sessions are registered by RPC,
// which the owner of the connection passes on to here. Source: docs/protocol/datagrams.md §4.

import { PosternError } from '../../errors/error.ts';
import { formatIpPort } from '../../net/address/host-port.ts';
import { type IpBytes, unmapIpv4 } from '../../net/address/ip.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import { defaultIdleMs, sessionIdBytes } from '../../wire/datagram/datagram-problem.ts';
import {
  DatagramV2View,
  datagramV2Type,
  packetSuffixBytesV2,
  writePacketSuffixV2,
  writeUdpSuffixV2,
} from '../../wire/datagram/datagram-v2.ts';
import { DatagramEnd } from '../channel/datagram-end.ts';
import { IdTable } from '../channel/id-table.ts';
import type { ConnectionPath } from './connector-v3.ts';
import {
  admitSession,
  describeEnd,
  type SessionEnd,
  type SessionEnvironment,
  type SessionOwner,
  UdpSession,
} from './udp-session.ts';

/** The arguments of `registerUdpSession`, as they came. */
export interface RegisterSessionV2 {
  readonly id: Uint8Array;
  readonly address: Uint8Array;
  readonly port: number;
  /** Nanoseconds; 0 asks for the default. */
  readonly idleHintNs: bigint;
}

export interface ConnectorPathV2 extends ConnectionPath {
  /** Tells the edge that a session ended here (`unregisterUdpSession`, its own failures are its own to log). */
  readonly unregister: (id: Uint8Array, message: string) => void;
}

/** Shortest idle time taken from a hint: below this a session would end before its first answer. */
const shortestIdleMs = 100;
/** Longest: a session nobody uses for a day is forgotten. */
const longestIdleMs = 86_400_000;
const scratchBytes = 1400;

/** One connection's datagrams and sessions. Sets itself as the channel's receiver. */
export class ConnectorMuxV2 extends DatagramEnd<DatagramV2View> implements SessionOwner {
  readonly #environment: SessionEnvironment;
  readonly #unregister: (id: Uint8Array, message: string) => void;
  readonly #sessions = new IdTable<UdpSession>();
  /** Registrations whose socket is still connecting. */
  readonly #opening = new Map<UdpSession, (errorText: string | undefined) => void>();

  constructor(environment: SessionEnvironment, path: ConnectorPathV2) {
    super({ ...path, scratchBytes, closedDrop: 'read_failed' }, new DatagramV2View());
    this.#environment = environment;
    this.packets = path.packets;
    this.#unregister = path.unregister;
    this.listen();
  }

  /** Sessions alive on this connection. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Serves `registerUdpSession`. Settles with undefined once the socket is connected, or with the text for the result's
   * `err`. Rejects 'protocol.malformed' (an RPC exception) when the id is not 16 bytes long.
   */
  async registerSession(request: RegisterSessionV2): Promise<string | undefined> {
    if (request.id.length !== sessionIdBytes)
      throw new PosternError('protocol.malformed', `Session id has ${request.id.length} bytes, it must have 16`);
    if (!this.open) return 'connection is closing';
    if (request.address.length !== 4 && request.address.length !== 16) return 'unable to parse destination IP';
    const address: IpBytes = copyBytes(unmapIpv4(request.address));
    const refusal = admitSession(this.#environment, address, request.port, this.counters);
    if (refusal === 'too-many-flows') return 'failed to start udp session due to rate limiting: too many active flows';
    if (refusal === 'destination-refused')
      return `unable to dial udp to origin ${formatIpPort(address, request.port)}: destination not allowed`;
    const id = copyBytes(request.id);
    // cloudflared leaves the replaced session's socket open; here it ends, so that nothing leaks.
    this.#sessions.get(id, 0)?.close('session replaced');
    const session = new UdpSession(this.#environment, this, {
      id,
      address,
      port: request.port,
      idleMs: idleMsOf(request.idleHintNs),
    });
    this.#sessions.set(id, session);
    return await new Promise<string | undefined>(settle => {
      this.#opening.set(session, settle);
      session.open();
    });
  }

  /** Serves `unregisterUdpSession`; an unknown id is not an error. */
  unregisterSession(id: Uint8Array, message: string): void {
    if (id.length === sessionIdBytes) this.#sessions.get(id, 0)?.close(message);
  }

  /** The connection has ended: all its sessions end, the edge is not told. Idempotent. */
  close(): void {
    if (!this.end()) return;
    for (const session of this.#sessions.values()) session.close('connection closed');
  }

  sendPacket(packet: Uint8Array): boolean {
    if (!this.open || packet.length + packetSuffixBytesV2 > scratchBytes) {
      this.counters.droppedPackets.read_too_large += 1;
      return false;
    }
    this.scratch.set(packet);
    return this.send(writePacketSuffixV2(this.scratch, packet.length), this.counters.droppedPackets);
  }

  opened(session: UdpSession): void {
    this.#settle(session, undefined);
    this.#log(session.id, 'Registered session');
  }

  payload(session: UdpSession, payload: Uint8Array): void {
    this.scratch.set(payload);
    this.send(writeUdpSuffixV2(this.scratch, payload.length, session.id), this.counters.dropped);
  }

  ended(session: UdpSession, end: SessionEnd): void {
    this.#sessions.delete(session.id, session);
    const text = describeEnd(session, end);
    if (this.#opening.has(session)) {
      if (end.kind === 'failed') this.counters.failedSessions += 1;
      const cause = end.kind === 'failed' && end.error.cause instanceof Error ? `: ${end.error.cause.message}` : '';
      this.#settle(session, text + cause);
    } else if (this.open && end.kind !== 'closed') this.#unregister(session.id, text);
    this.#log(session.id, `Session terminated: ${text}`);
  }

  protected handle(datagram: Uint8Array): void {
    const { view } = this;
    switch (view.type) {
      case datagramV2Type.udp: {
        const session = this.#sessions.get(datagram, view.bodyBytes);
        if (session === undefined) this.counters.dropped.write_flow_unknown += 1;
        else session.write(datagram.subarray(0, view.bodyBytes));
        return;
      }
      case datagramV2Type.packet:
      case datagramV2Type.tracedPacket:
        this.handPacket(datagram.subarray(0, view.bodyBytes));
        return;
      default:
        // Spans travel the other way only; cloudflared drops its whole connection over one (docs/protocol/datagrams.md
        // §4.1).
        this.counters.malformed['unknown-type'] += 1;
    }
  }

  #settle(session: UdpSession, errorText: string | undefined): void {
    const settle = this.#opening.get(session);
    this.#opening.delete(session);
    settle?.(errorText);
  }

  #log(id: Uint8Array, message: string): void {
    const { log } = this.#environment;
    if (!log.isLevelEnabled('debug')) return;
    log.debug({ event: 3, sessionID: Buffer.from(id).toString('hex'), connIndex: this.connIndex }, message);
  }
}

/** Nonsense hints (negative, a few nanoseconds) crash cloudflared; here they are brought into a sane range. */
function idleMsOf(hintNs: bigint): number {
  if (hintNs <= 0n) return defaultIdleMs;
  return Math.min(Math.max(Number(hintNs / 1_000_000n), shortestIdleMs), longestIdleMs);
}
