// The edge's end of datagram v2: sessions are registered and unregistered by RPC calls that the owner of the connection
// provides; datagrams carry payloads and packets. Source: docs/protocol/datagrams.md §4.

import { describeError } from '../../errors/error.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { DatagramChannel } from '../../transport/transport.ts';
import { sessionIdBytes, udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import {
  DatagramV2View,
  datagramV2Type,
  packetSuffixBytesV2,
  udpSuffixBytesV2,
  writePacketSuffixV2,
  writeUdpSuffixV2,
} from '../../wire/datagram/datagram-v2.ts';
import { DatagramEnd } from '../channel/datagram-end.ts';
import { IdTable } from '../channel/id-table.ts';
import type { PacketHandler } from '../channel/packet-path.ts';
import type { EdgeMux, EdgeSession } from './edge-mux.ts';

/** The connector's SessionManager, as RPC calls. Each call settles within its own deadline. */
export interface SessionCalls {
  /** Settles with undefined, or with the `err` text of the result; rejects when the call itself failed. */
  register(session: {
    readonly id: Uint8Array;
    readonly address: Uint8Array;
    readonly port: number;
    readonly idleHintNs: bigint;
  }): Promise<string | undefined>;
  unregister(id: Uint8Array, message: string): Promise<void>;
}

const scratchBytes = 1400;

/** One connection's datagrams. Sets itself as the channel's receiver. */
export class EdgeMuxV2 extends DatagramEnd<DatagramV2View> implements EdgeMux {
  readonly version = 2;
  readonly #calls: SessionCalls;
  readonly #log: Logger;
  readonly #sessions = new IdTable<EdgeSession>();

  constructor(channel: DatagramChannel, connIndex: number, calls: SessionCalls, log: Logger) {
    super({ channel, connIndex, scratchBytes, closedDrop: 'write_failed' }, new DatagramV2View());
    this.#calls = calls;
    this.#log = log;
    this.listen();
  }

  get payloadLimit(): number {
    return Math.min(udpPayloadLimit, this.channel.maxBytes - udpSuffixBytesV2);
  }

  onPacket(handler: PacketHandler): void {
    this.packets = handler;
  }

  register(session: EdgeSession): void {
    // In the table at once: the connector's first payload may overtake the answer to the call.
    this.#sessions.set(session.id, session);
    this.counters.activeSessions += 1;
    this.counters.totalSessions += 1;
    const { id, address, port, idleHintMs } = session;
    const idleHintNs = BigInt(Math.max(1, Math.round(idleHintMs))) * 1_000_000n;
    this.#calls.register({ id, address, port, idleHintNs }).then(
      message => this.#answered(session, message),
      error => {
        this.#log.debug(
          { event: 3, sessionID: Buffer.from(id).toString('hex'), error },
          'Registering a session failed',
        );
        if (this.#forget(session)) session.registered({ kind: 'no-answer' });
      },
    );
  }

  /** v2 connectors say when a session ends: nothing to ask. */
  refresh(): void {
    return;
  }

  /** Serves `unregisterUdpSession` of the connector; an unknown id is not an error. */
  sessionEnded(id: Uint8Array, message: string): void {
    const session = id.length === sessionIdBytes ? this.#sessions.get(id, 0) : undefined;
    if (session !== undefined && this.#forget(session)) session.ended(message);
  }

  sendPayload(session: EdgeSession, payload: Uint8Array): boolean {
    if (payload.length > udpPayloadLimit) {
      this.counters.dropped.send_too_large += 1;
      return false;
    }
    this.scratch.set(payload);
    return this.send(writeUdpSuffixV2(this.scratch, payload.length, session.id), this.counters.dropped);
  }

  unregister(session: EdgeSession, message: string): void {
    if (this.#forget(session) && this.open) this.#tellUnregister(session.id, message);
  }

  sendPacket(packet: Uint8Array): boolean {
    if (packet.length + packetSuffixBytesV2 > scratchBytes) {
      this.counters.droppedPackets.send_too_large += 1;
      return false;
    }
    this.scratch.set(packet);
    return this.send(writePacketSuffixV2(this.scratch, packet.length), this.counters.droppedPackets);
  }

  close(): void {
    if (!this.end()) return;
    for (const session of this.#sessions.values()) {
      this.#forget(session);
      session.lost();
    }
  }

  #answered(session: EdgeSession, message: string | undefined): void {
    const known = this.#sessions.get(session.id, 0) === session;
    if (message !== undefined) {
      this.counters.failedSessions += 1;
      // v2 says why in words only, so every refusal is one kind.
      if (this.#forget(session)) session.registered({ kind: 'refused', message, rateLimited: false });
    } else if (known) session.registered({ kind: 'ok' });
    // Given up here while the call ran: the connector must not keep a session nobody uses.
    else if (this.open) this.#tellUnregister(session.id, 'registration abandoned');
  }

  #tellUnregister(id: Uint8Array, message: string): void {
    this.#calls.unregister(id, message).catch((error: unknown) => {
      const sessionID = Buffer.from(id).toString('hex');
      this.#log.debug({ event: 3, sessionID }, `Unregistering a session failed: ${describeError(error)}`);
    });
  }

  protected handle(datagram: Uint8Array): void {
    const { view } = this;
    switch (view.type) {
      case datagramV2Type.udp: {
        const session = this.#sessions.get(datagram, view.bodyBytes);
        if (session === undefined) this.counters.dropped.write_flow_unknown += 1;
        else session.payload(datagram.subarray(0, view.bodyBytes));
        return;
      }
      case datagramV2Type.packet:
        this.handPacket(datagram.subarray(0, view.bodyBytes));
        return;
      case datagramV2Type.spans:
        // Spans come only for traced packets, which this edge does not send; a stray one is no mistake worth counting.
        return;
      default:
        this.counters.malformed['unknown-type'] += 1;
    }
  }

  /** False when the session was not in the table (any more). */
  #forget(session: EdgeSession): boolean {
    if (!this.#sessions.delete(session.id, session)) return false;
    this.counters.activeSessions -= 1;
    return true;
  }
}
