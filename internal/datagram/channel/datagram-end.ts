// What the ends of a connection's datagrams do alike, whatever their version and side: count what cannot be read, hand
// packets on, send from one buffer, and count what the connection does not take.

import type { DatagramChannel } from '../../transport/transport.ts';
import type { DatagramProblem } from '../../wire/datagram/datagram-problem.ts';
import { createDatagramCounters, type DatagramCounters } from './counters.ts';
import type { PacketHandler, PacketReturnPath } from './packet-path.ts';

export interface DatagramEndOptions {
  readonly channel: DatagramChannel;
  readonly connIndex: number;
  /** Its own set by default. */
  readonly counters?: DatagramCounters | undefined;
  /** Room for the largest datagram that is sent. */
  readonly scratchBytes: number;
  /** What a datagram counts as that would be sent after the end. */
  readonly closedDrop: 'read_failed' | 'write_failed';
}

/** Reads one datagram after the other: undefined, or what is wrong with it. */
interface DatagramView {
  decode(datagram: Uint8Array): DatagramProblem | undefined;
}

/** A subclass names its messages, and calls `listen` when it is ready for them. */
export abstract class DatagramEnd<View extends DatagramView> implements PacketReturnPath {
  readonly connIndex: number;
  readonly counters: DatagramCounters;
  protected readonly channel: DatagramChannel;
  /** The next datagram to send is written here. */
  protected readonly scratch: Uint8Array;
  /** Takes IP packets; they are dropped and counted until there is one. */
  protected packets: PacketHandler | undefined;
  readonly #closedDrop: DatagramEndOptions['closedDrop'];
  protected readonly view: View;
  #open = true;

  constructor({ channel, connIndex, counters, scratchBytes, closedDrop }: DatagramEndOptions, view: View) {
    this.view = view;
    this.channel = channel;
    this.connIndex = connIndex;
    this.counters = counters ?? createDatagramCounters();
    this.scratch = new Uint8Array(scratchBytes);
    this.#closedDrop = closedDrop;
  }

  get open(): boolean {
    return this.#open;
  }

  abstract sendPacket(packet: Uint8Array): boolean;

  /** Takes a datagram that `view` has read; valid only during the call. */
  protected abstract handle(datagram: Uint8Array): void;

  /** Becomes the channel's receiver. */
  protected listen(): void {
    this.channel.receive(datagram => {
      if (!this.#open) return;
      const problem = this.view.decode(datagram);
      if (problem === undefined) this.handle(datagram);
      else this.counters.malformed[problem] += 1;
    });
  }

  /** Nothing is received or sent from now on. False when it was so before. */
  protected end(): boolean {
    const wasOpen = this.#open;
    this.#open = false;
    return wasOpen;
  }

  protected handPacket(packet: Uint8Array): void {
    if (this.packets === undefined) this.counters.droppedPackets.write_failed += 1;
    else this.packets.packet(packet, this);
  }

  /** Sends the first `length` bytes of `scratch`. False when dropped, counted on `dropped`. */
  protected send(length: number, dropped: DatagramCounters['dropped']): boolean {
    if (!this.#open) {
      dropped[this.#closedDrop] += 1;
      return false;
    }
    if (this.channel.send(this.scratch, length)) return true;
    if (length > this.channel.maxBytes) dropped.send_too_large += 1;
    else dropped.send_full += 1;
    return false;
  }
}
