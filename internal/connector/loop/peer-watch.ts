// Finds out whether a connection survived a change of the machine (wake-up, other network). In quiet times the transports
// notice a dead edge by themselves: HTTP/2 by its pings, QUIC by its idle time-out.

import { PosternError } from '../../errors/error.ts';
import { isLoopbackHost, plainAddress } from '../../net/address/ip.ts';
import type { ConnectorConnection } from '../../transport/transport.ts';

/** An edge is rarely more than a second away; the transports' own checks would take ten. */
const checkTimeoutMs = 3_000;

export class PeerWatch {
  readonly #connection: ConnectorConnection;
  #ended = false;
  #lost = false;

  constructor(connection: ConnectorConnection) {
    this.#connection = connection;
  }

  /** Whether a check aborted the connection: the redial then need not wait. */
  get lost(): boolean {
    return this.#lost;
  }

  /**
   * The machine changed; `addresses` are those it has now. Aborts the connection with 'connection.lost' when its own
   * address is gone (TCP) or the edge does not answer a ping.
   */
  check(addresses: readonly string[]): void {
    const { localAddress, protocol } = this.#connection;
    const local = plainAddress(localAddress);
    const hasNoInterface = local === '' || isLoopbackHost(local);
    // QUIC goes on from another address; only the ping can tell whether it does.
    if (protocol !== 'quic' && !hasNoInterface && !addresses.includes(local)) {
      this.#abort(new PosternError('connection.lost', `This machine no longer has the address ${local}`));
      return;
    }
    this.#connection.ping?.(checkTimeoutMs).catch((error: unknown) => {
      this.#abort(new PosternError('connection.lost', 'The edge does not answer', { cause: error }));
    });
  }

  /** Checks under way have no effect any more. */
  end(): void {
    this.#ended = true;
  }

  #abort(error: PosternError): void {
    if (this.#ended) return;
    this.#lost = true;
    this.end();
    this.#connection.abort(error);
  }
}
