// The edge's end of datagram v3: registrations are datagrams, repeated until answered. Source:
// docs/protocol/datagrams.md §5.

import type { DatagramChannel } from '../../transport/transport.ts';
import { udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import {
  DatagramV3View,
  datagramV3Type,
  encodeRegistrationV3,
  icmpPrefixBytesV3,
  payloadPrefixBytesV3,
  responseCodeV3,
  writeIcmpPrefixV3,
  writePayloadPrefixV3,
} from '../../wire/datagram/datagram-v3.ts';
import { features } from '../../wire/features.ts';
import { DatagramEnd } from '../channel/datagram-end.ts';
import { IdTable } from '../channel/id-table.ts';
import type { PacketHandler } from '../channel/packet-path.ts';
import type { EdgeMux, EdgeSession, RegisterOutcome } from './edge-mux.ts';

/** First repeat after a round trip across an ocean, then doubling: 0.3, 0.9, 2.1, 4.5 s; given up at 5.1 s. */
const firstRepeatMs = 300;
const giveUpAfter = 5;
const lastWaitMs = 600;
const longestHintSeconds = 65_535;
const scratchBytes = 1300;

interface Entry {
  readonly session: EdgeSession;
  /** Registrations sent without an answer; 0 = answered. */
  tries: number;
  timer: NodeJS.Timeout | undefined;
}

/** One connection's datagrams. Sets itself as the channel's receiver. */
export class EdgeMuxV3 extends DatagramEnd<DatagramV3View> implements EdgeMux {
  readonly version = 3;
  /** cloudflared would only begin its first idle time anew. */
  readonly #changesIdleTime: boolean;
  readonly #sessions = new IdTable<Entry>();

  /** @param advertised features that the connector told at its registration */
  constructor(channel: DatagramChannel, connIndex: number, advertised: readonly string[] = []) {
    super({ channel, connIndex, scratchBytes, closedDrop: 'write_failed' }, new DatagramV3View());
    this.#changesIdleTime = advertised.includes(features.v3IdleTime);
    this.listen();
  }

  get payloadLimit(): number {
    return Math.min(udpPayloadLimit, this.channel.maxBytes - payloadPrefixBytesV3);
  }

  onPacket(handler: PacketHandler): void {
    this.packets = handler;
  }

  register(session: EdgeSession): void {
    const entry: Entry = { session, tries: 0, timer: undefined };
    this.#sessions.set(session.id, entry);
    this.counters.activeSessions += 1;
    this.counters.totalSessions += 1;
    this.#try(entry);
  }

  refresh(session: EdgeSession): void {
    this.#sendRegistration(session);
  }

  sendPayload(session: EdgeSession, payload: Uint8Array): boolean {
    if (payload.length > udpPayloadLimit) {
      this.counters.dropped.send_too_large += 1;
      return false;
    }
    writePayloadPrefixV3(this.scratch, session.id);
    this.scratch.set(payload, payloadPrefixBytesV3);
    return this.send(payloadPrefixBytesV3 + payload.length, this.counters.dropped);
  }

  /** v3 has no message for this: the connector's side idles out, within a second or two where it can be told to. */
  unregister(session: EdgeSession): void {
    this.#forget(session);
    if (this.#changesIdleTime) this.#sendRegistration(session, 1);
  }

  sendPacket(packet: Uint8Array): boolean {
    if (packet.length + icmpPrefixBytesV3 > scratchBytes) {
      this.counters.droppedPackets.send_too_large += 1;
      return false;
    }
    writeIcmpPrefixV3(this.scratch);
    this.scratch.set(packet, icmpPrefixBytesV3);
    return this.send(icmpPrefixBytesV3 + packet.length, this.counters.droppedPackets);
  }

  close(): void {
    if (!this.end()) return;
    for (const { session } of this.#sessions.values()) {
      this.#forget(session);
      session.lost();
    }
  }

  protected handle(datagram: Uint8Array): void {
    const { view } = this;
    switch (view.type) {
      case datagramV3Type.payload: {
        const entry = this.#sessions.get(datagram, view.idAt);
        if (entry === undefined) this.counters.dropped.write_flow_unknown += 1;
        else entry.session.payload(datagram.subarray(view.bodyAt));
        return;
      }
      case datagramV3Type.response:
        this.#response(view);
        return;
      case datagramV3Type.icmp:
        this.handPacket(datagram.subarray(view.bodyAt));
        return;
      default:
        // Registrations travel the other way only.
        this.counters.malformed['unknown-type'] += 1;
    }
  }

  #response(view: DatagramV3View): void {
    const entry = this.#sessions.get(view.datagram, view.idAt);
    if (entry === undefined) {
      // A session that was ended here answers once more.
      if (view.code !== responseCodeV3.ok) this.counters.dropped.write_flow_unknown += 1;
      return;
    }
    const { session } = entry;
    const pending = entry.tries > 0;
    const outcome = outcomeOf(view);
    entry.tries = 0;
    clearTimeout(entry.timer);
    if (outcome.kind === 'ok') {
      // Answers repeat when registrations did.
      if (pending) session.registered(outcome);
      return;
    }
    this.counters.failedSessions += 1;
    this.#forget(session);
    if (pending) session.registered(outcome);
    else session.ended(outcome.kind === 'refused' ? outcome.message : outcome.kind);
  }

  #try(entry: Entry): void {
    entry.tries += 1;
    this.#sendRegistration(entry.session);
    const last = entry.tries === giveUpAfter;
    const waitMs = last ? lastWaitMs : firstRepeatMs * 2 ** (entry.tries - 1);
    entry.timer = setTimeout(() => {
      if (last) this.#giveUp(entry);
      else this.#try(entry);
    }, waitMs);
  }

  #giveUp(entry: Entry): void {
    this.#forget(entry.session);
    this.counters.failedSessions += 1;
    entry.session.registered({ kind: 'no-answer' });
  }

  #sendRegistration(session: EdgeSession, idleSeconds = idleSecondsOf(session)): void {
    const { id, address, port } = session;
    this.send(encodeRegistrationV3(this.scratch, { id, address, port, idleSeconds }), this.counters.dropped);
  }

  #forget(session: EdgeSession): void {
    const entry = this.#sessions.get(session.id, 0);
    if (entry === undefined || entry.session !== session) return;
    clearTimeout(entry.timer);
    this.#sessions.delete(session.id);
    this.counters.activeSessions -= 1;
  }
}

function idleSecondsOf({ idleHintMs }: EdgeSession): number {
  return Math.min(Math.ceil(idleHintMs / 1000), longestHintSeconds);
}

const refusals: Readonly<Record<number, string>> = {
  [responseCodeV3.destinationUnreachable]: 'destination unreachable',
  [responseCodeV3.unableToBind]: 'unable to reach the destination',
  [responseCodeV3.tooManyFlows]: 'too many active flows',
};

function outcomeOf(view: DatagramV3View): RegisterOutcome {
  const { code } = view;
  if (code === responseCodeV3.ok) return { kind: 'ok' };
  const text = Buffer.from(view.datagram.subarray(view.bodyAt, view.bodyEnd)).toString();
  const message = text === '' ? (refusals[code] ?? `error code ${code}`) : text;
  return { kind: 'refused', message, rateLimited: code === responseCodeV3.tooManyFlows };
}
