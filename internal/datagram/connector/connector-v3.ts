// The connector's end of datagram v3: one table of sessions for the process, one muxer a connection. A session is
// claimed by whoever registers its id last, so an edge can move it to another connection. Source:
// docs/protocol/datagrams.md §5.

import { sameIp } from '../../net/address/ip.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import type { DatagramChannel } from '../../transport/transport.ts';
import { defaultIdleMs, sessionIdBytes } from '../../wire/datagram/datagram-problem.ts';
import {
  DatagramV3View,
  datagramV3Type,
  encodeResponseV3,
  icmpPrefixBytesV3,
  payloadPrefixBytesV3,
  responseCodeV3,
  writeIcmpPrefixV3,
  writePayloadPrefixV3,
} from '../../wire/datagram/datagram-v3.ts';
import type { DatagramCounters } from '../channel/counters.ts';
import { DatagramEnd } from '../channel/datagram-end.ts';
import { IdTable } from '../channel/id-table.ts';
import type { PacketHandler } from '../channel/packet-path.ts';
import {
  admitSession,
  describeEnd,
  type SessionEnd,
  type SessionEnvironment,
  type SessionOwner,
  UdpSession,
} from './udp-session.ts';

export interface ConnectionPath {
  readonly channel: DatagramChannel;
  readonly connIndex: number;
  /** Takes IP packets; undefined = they are dropped and counted. */
  readonly packets: PacketHandler | undefined;
  /** Counted on here, so that the counts of a connection index outlive its connections; its own set by default. */
  readonly counters?: DatagramCounters | undefined;
}

/**
 * How long a session whose connection ended waits to be claimed by another one before it ends. An edge that moves
 * flows does so within a second or two; the origin then sees no change of port.
 */
const orphanMs = 5_000;
/** Room for the largest datagram: 17 + 1280. */
const scratchBytes = 1300;

/** All v3 sessions of one connector. */
export class ConnectorSessionsV3 {
  readonly #environment: SessionEnvironment;
  readonly #sessions = new IdTable<UdpSession>();

  constructor(environment: SessionEnvironment) {
    this.#environment = environment;
  }

  /** Sessions alive, those waiting for a new connection included. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Makes the muxer of a new connection and sets it as the channel's receiver. Close it when the connection ends. */
  attach(path: ConnectionPath): ConnectorMuxV3 {
    return new ConnectorMuxV3(this.#environment, this.#sessions, path);
  }

  /** Ends every session. */
  close(): void {
    for (const session of this.#sessions.values()) session.close('');
  }
}

/** One connection's datagrams. */
export class ConnectorMuxV3 extends DatagramEnd<DatagramV3View> implements SessionOwner {
  readonly #environment: SessionEnvironment;
  readonly #sessions: IdTable<UdpSession>;

  constructor(environment: SessionEnvironment, sessions: IdTable<UdpSession>, path: ConnectionPath) {
    super({ ...path, scratchBytes, closedDrop: 'read_failed' }, new DatagramV3View());
    this.#environment = environment;
    this.#sessions = sessions;
    this.packets = path.packets;
    this.listen();
  }

  /** The connection has ended: its sessions wait a little for another connection, then end. Idempotent. */
  close(): void {
    if (!this.end()) return;
    for (const session of this.#sessions.values()) {
      if (session.owner !== this) continue;
      session.touch();
      session.idleMs = Math.min(session.idleMs, orphanMs);
      this.#environment.wheel.add(session);
    }
  }

  sendPacket(packet: Uint8Array): boolean {
    const length = icmpPrefixBytesV3 + packet.length;
    if (!this.open || length > scratchBytes) {
      this.counters.droppedPackets.read_too_large += 1;
      return false;
    }
    writeIcmpPrefixV3(this.scratch);
    this.scratch.set(packet, icmpPrefixBytesV3);
    return this.send(length, this.counters.droppedPackets);
  }

  opened(session: UdpSession): void {
    this.#respond(responseCodeV3.ok, session.id);
  }

  payload(session: UdpSession, payload: Uint8Array): void {
    writePayloadPrefixV3(this.scratch, session.id);
    this.scratch.set(payload, payloadPrefixBytesV3);
    this.send(payloadPrefixBytesV3 + payload.length, this.counters.dropped);
  }

  ended(session: UdpSession, end: SessionEnd): void {
    this.#sessions.delete(session.id, session);
    if (end.kind === 'failed' && !session.wasOpen) {
      this.counters.failedSessions += 1;
      this.#respond(responseCodeV3.unableToBind, session.id);
    }
    this.#log(session.id, `flow closed: ${describeEnd(session, end)}`, end);
  }

  protected handle(datagram: Uint8Array): void {
    const { view } = this;
    switch (view.type) {
      case datagramV3Type.payload: {
        const session = this.#sessions.get(datagram, view.idAt);
        // A session answers to the connection it is bound to and to no other.
        if (session === undefined || session.owner !== this) this.counters.dropped.write_flow_unknown += 1;
        else session.write(datagram.subarray(view.bodyAt));
        return;
      }
      case datagramV3Type.registration:
        this.#register(view);
        return;
      case datagramV3Type.icmp:
        this.handPacket(datagram.subarray(view.bodyAt));
        return;
      default:
        // Responses travel the other way only.
        this.counters.malformed['unknown-type'] += 1;
    }
  }

  #register(view: DatagramV3View): void {
    const known = this.#sessions.get(view.datagram, view.idAt);
    if (known !== undefined) {
      this.#claim(known, view);
      return;
    }
    const id = copyBytes(view.datagram.subarray(view.idAt, view.idAt + sessionIdBytes));
    const address = copyBytes(view.address);
    const refusal = admitSession(this.#environment, address, view.port, this.counters);
    if (refusal !== undefined) {
      const code = refusal === 'too-many-flows' ? responseCodeV3.tooManyFlows : responseCodeV3.unableToBind;
      this.#respond(code, id);
      this.#log(id, `flow registration failure: ${refusal}`);
      return;
    }
    const session = new UdpSession(this.#environment, this, {
      id,
      address,
      port: view.port,
      idleMs: idleMsOf(view),
    });
    this.#sessions.set(id, session);
    if (view.bundled) session.write(view.datagram.subarray(view.bodyAt));
    session.open();
  }

  /** A registration of a known id: repeated because the answer was lost, or a move to this connection. */
  #claim(session: UdpSession, view: DatagramV3View): void {
    if (session.port !== view.port || !sameIp(session.address, view.address)) {
      // The same id for another destination is no claim but a mistake or an attack; the session is left alone.
      this.counters.failedSessions += 1;
      this.#respond(responseCodeV3.unableToBind, session.id);
      return;
    }
    if (session.owner === this) this.counters.retryResponses += 1;
    else this.#adopt(session);
    session.touch();
    session.idleMs = idleMsOf(view);
    this.#environment.wheel.add(session);
    // A session that is still opening answers when it is open.
    if (session.isOpen) this.#respond(responseCodeV3.ok, session.id);
  }

  #adopt(session: UdpSession): void {
    session.owner.counters.activeSessions -= 1;
    session.owner = this;
    this.counters.activeSessions += 1;
    this.counters.migratedSessions += 1;
    this.#log(session.id, 'flow registration migration');
  }

  #respond(code: number, id: Uint8Array): void {
    if (this.open) this.send(encodeResponseV3(this.scratch, code, id), this.counters.dropped);
  }

  #log(id: Uint8Array, message: string, end?: SessionEnd): void {
    const { log } = this.#environment;
    if (!log.isLevelEnabled('debug')) return;
    const flowID = Buffer.from(id).toString('hex');
    log.debug(
      { event: 3, flowID, connIndex: this.connIndex, error: end?.kind === 'failed' ? end.error : undefined },
      message,
    );
  }
}

function idleMsOf(view: DatagramV3View): number {
  return view.idleSeconds === 0 ? defaultIdleMs : view.idleSeconds * 1000;
}
