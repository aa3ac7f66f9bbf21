// One UDP ASSOCIATE: a socket that the client sends wrapped datagrams to, and a flow into the private network for every
// destination. Lives as long as the client's TCP connection. Source: RFC 1928 §7.

import type { RemoteInfo, Socket } from 'node:dgram';
import { isPosternError } from '../../errors/error.ts';
import { formatIp, parseIp, unmapIpv4 } from '../../net/address/ip.ts';
import { decodeUdpHeader, encodeUdpHeader } from '../../net/socks/codec.ts';
import type { UdpFlow } from '../../private-network/flows/udp-flow.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { PrivateHost } from '../../private-network/routes/private-host.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import { udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import { openBoundSocket } from '../entrance/bound-socket.ts';
import { privateHostOf } from './private-host-of.ts';

/** Destinations of one client at once: a browser with HTTP/3 and DNS uses dozens. More are dropped. */
export const maxFlows = 256;
/** RFC 4787 REQ-5 asks a NAT for at least two minutes. */
export const idleMs = 120_000;
/** After a flow was refused its destination is left alone so long: a sender's next datagrams cost nothing then. */
const refusalMs = 1_000;
/** Datagrams waiting in user space for the client before more are dropped. */
const sendQueueLimit = 512;

const unspecified = new Uint8Array(4);

/**
 * Why a datagram of a client was dropped. `not_client`: from elsewhere; `malformed`: cut, fragmented or of an unknown kind;
 * `flows_full`: too many destinations; `refused`: no route, over a limit, no address for the name, or refused a moment ago;
 * `too_large`: for any datagram of the tunnel; `not_sent`: the flow was full; `client_full`: to the client, whose socket was full.
 */
export type AssociationDrop =
  | 'not_client'
  | 'malformed'
  | 'flows_full'
  | 'refused'
  | 'too_large'
  | 'not_sent'
  | 'client_full';

/** Of all associations of a server. Counts only rise, but for `active`. */
export interface AssociationCounters {
  active: number;
  total: number;
  readonly dropped: Record<AssociationDrop, number>;
}

export function createAssociationCounters(): AssociationCounters {
  const dropped = { not_client: 0, malformed: 0, flows_full: 0, refused: 0, too_large: 0, not_sent: 0, client_full: 0 };
  return { active: 0, total: 0, dropped };
}

export interface AssociationOptions {
  readonly network: PrivateNetwork;
  readonly visitor: Visitor;
  /** Where the client's TCP connection arrived, as address text; the datagrams arrive there too. */
  readonly localAddress: string;
  /** The port that the client announced; 0 = the first datagram from its address tells. */
  readonly clientPort: number;
  readonly counters: AssociationCounters;
}

export class UdpAssociation {
  readonly #network: PrivateNetwork;
  readonly #visitor: Visitor;
  readonly #counters: AssociationCounters;
  readonly #socket: Socket;
  /** Header bytes as Latin-1 text → flow. */
  readonly #flows = new Map<string, UdpFlow>();
  /** Header bytes of refused destinations → when they may be tried again. */
  readonly #refused = new Map<string, number>();
  /** What the last datagram's header was: most clients send many to one destination in a row. */
  #lastHeader: Buffer = Buffer.alloc(0);
  #lastFlow: UdpFlow | undefined;
  #clientPort: number;
  /** As the socket gives it; undefined before the first datagram. */
  #clientAddress: string | undefined;
  #closed = false;

  private constructor({ network, visitor, clientPort, counters }: AssociationOptions, socket: Socket) {
    this.#network = network;
    this.#visitor = visitor;
    this.#counters = counters;
    this.#socket = socket;
    this.#clientPort = clientPort;
    counters.active += 1;
    counters.total += 1;
    socket.on('message', (message, from) => this.#message(message, from));
    socket.on('error', () => {
      // ICMP errors about single datagrams to the client; the association lives as long as its TCP connection.
      this.#counters.dropped.client_full += 1;
    });
  }

  /** Rejects with what the system says when there is no socket left. */
  static async open(options: AssociationOptions): Promise<UdpAssociation> {
    return new UdpAssociation(options, await openBoundSocket(options.localAddress, 0));
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Ends every flow. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const flow of this.#flows.values()) flow.close();
    this.#flows.clear();
    this.#counters.active -= 1;
    this.#socket.close();
  }

  #message(message: Buffer, from: RemoteInfo): void {
    const { dropped } = this.#counters;
    if (this.#closed || !this.#isClient(from)) {
      dropped.not_client += 1;
      return;
    }
    if (this.#clientAddress === undefined) {
      // Only what a SOCKS client sends may claim the association: a stray datagram must not shut its client out.
      const header = decodeUdpHeader(message);
      if (header === undefined || privateHostOf(header.host) === undefined) {
        dropped.malformed += 1;
        return;
      }
      this.#claim(from);
    }
    const flow = this.#flowOf(message);
    // Dropped and counted.
    if (flow === undefined) return;
    const payload = message.subarray(this.#lastHeader.length);
    // Here, since it could only wait for a session in vain, and sixteen large ones for each flow are much memory.
    if (payload.length > udpPayloadLimit) dropped.too_large += 1;
    else if (!flow.send(payload)) dropped.not_sent += 1;
  }

  /** Only the client that asked may use the association, from one port. */
  #isClient({ address, port }: RemoteInfo): boolean {
    if (this.#clientAddress !== undefined) return port === this.#clientPort && address === this.#clientAddress;
    const bytes = parseIp(address.replace(/%.*$/, ''));
    // UDP may come from port 0 (RFC 768), where nothing can be sent: Node would throw.
    if (port === 0 || bytes === undefined || formatIp(unmapIpv4(bytes)) !== this.#visitor.sourceAddress) return false;
    return this.#clientPort === 0 || this.#clientPort === port;
  }

  #claim({ address, port }: RemoteInfo): void {
    this.#clientPort = port;
    // From here on the kernel keeps everybody else's datagrams away; some may be waiting already.
    this.#clientAddress = address;
    this.#socket.connect(port, address);
  }

  /** The flow of the datagram's destination; `#lastHeader` is its header then. */
  #flowOf(message: Buffer): UdpFlow | undefined {
    const last = this.#lastHeader;
    if (this.#lastFlow !== undefined && message.length >= last.length && startsWith(message, last))
      return this.#lastFlow;
    const header = decodeUdpHeader(message);
    const host = header && privateHostOf(header.host);
    if (header === undefined || host === undefined || header.port === 0) {
      this.#counters.dropped.malformed += 1;
      return undefined;
    }
    const key = message.toString('latin1', 0, header.bytes);
    const flow = this.#flows.get(key) ?? this.#open(key, host, header.port);
    if (flow === undefined) return undefined;
    this.#lastHeader = Buffer.from(message.subarray(0, header.bytes));
    this.#lastFlow = flow;
    return flow;
  }

  #open(key: string, host: PrivateHost, port: number): UdpFlow | undefined {
    const { dropped } = this.#counters;
    if (this.#flows.size >= maxFlows) {
      dropped.flows_full += 1;
      return undefined;
    }
    if ((this.#refused.get(key) ?? 0) > performance.now()) {
      dropped.refused += 1;
      return undefined;
    }
    this.#refused.delete(key);
    let header: Buffer | undefined;
    let flow: UdpFlow;
    try {
      flow = this.#network.openUdp(this.#visitor, host, port, idleMs, {
        payload: payload => {
          // Clients know the sender by its address, also where they gave a name.
          header ??= encodeUdpHeader(flow.address ?? unspecified, port);
          this.#toClient(header, payload);
        },
        ended: end => {
          this.#flows.delete(key);
          if (this.#lastFlow === flow) this.#lastFlow = undefined;
          if (end.kind === 'unreachable' || end.kind === 'refused') this.#refuse(key);
        },
      });
    } catch (error) {
      // Denied or over a limit, which the tracker tells; SOCKS has no way to tell a client.
      if (!isPosternError(error)) throw error;
      dropped.refused += 1;
      this.#refuse(key);
      return undefined;
    }
    this.#flows.set(key, flow);
    return flow;
  }

  #refuse(key: string): void {
    // Forgetting early only costs another try.
    if (this.#refused.size >= maxFlows) this.#refused.clear();
    this.#refused.set(key, performance.now() + refusalMs);
  }

  #toClient(header: Buffer, payload: Uint8Array): void {
    if (this.#closed || this.#socket.getSendQueueCount() >= sendQueueLimit) {
      this.#counters.dropped.client_full += 1;
      return;
    }
    const datagram = Buffer.allocUnsafe(header.length + payload.length);
    datagram.set(header);
    datagram.set(payload, header.length);
    try {
      this.#socket.send(datagram, this.#sent);
    } catch {
      // Not connected yet: the client's first datagram is still being dealt with, and UDP may lose this one.
      this.#counters.dropped.client_full += 1;
    }
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#counters.dropped.client_full += 1;
  };
}

function startsWith(message: Buffer, header: Buffer): boolean {
  return message.compare(header, 0, header.length, 0, header.length) === 0;
}
