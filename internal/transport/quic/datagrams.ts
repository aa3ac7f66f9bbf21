// QUIC DATAGRAM frames as the transport's datagram channel. Source: RFC 9221; docs/protocol/edge-protocol.md §9.1.

import type { QuicConnection } from '../../quic/connection.ts';
import type { DatagramChannel } from '../transport.ts';

export class QuicDatagrams implements DatagramChannel {
  readonly #connection: QuicConnection;
  #handler: ((datagram: Uint8Array) => void) | undefined;
  #tooLarge = 0;
  #queueFull = 0;
  /** Datagrams that came before there was a receiver. */
  #unreceived = 0;

  constructor(connection: QuicConnection) {
    this.#connection = connection;
  }

  get maxBytes(): number {
    return this.#connection.maxDatagramBytes;
  }

  get dropped(): { tooLarge: number; queueFull: number; receiveOverflow: number } {
    const overflow = this.#connection.stats()?.undeliveredDatagrams ?? 0;
    return { tooLarge: this.#tooLarge, queueFull: this.#queueFull, receiveOverflow: overflow + this.#unreceived };
  }

  send(datagram: Uint8Array, length = datagram.length): boolean {
    const result = this.#connection.sendDatagram(datagram, length);
    if (result === 'too-large') this.#tooLarge += 1;
    else if (result === 'full') this.#queueFull += 1;
    return result === 'queued';
  }

  receive(handler: (datagram: Uint8Array) => void): void {
    this.#handler = handler;
  }

  /** For the connection: one came. The view is valid during the call. */
  deliver(datagram: Uint8Array): void {
    if (this.#handler === undefined) this.#unreceived += 1;
    else this.#handler(datagram);
  }
}
