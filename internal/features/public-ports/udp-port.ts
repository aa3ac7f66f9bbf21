// A public UDP port: datagrams of one source address and port are a session, which is a UDP flow through the port's tunnel.

import { isPosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { proxyHeader } from '../../net/proxy-protocol/proxy-header.ts';
import { openUdpListener, type UdpClient, type UdpListener } from '../../on-ramps/entrance/udp-listener.ts';
import type { UdpFlow } from '../../private-network/flows/udp-flow.ts';
import { subjectOf, type Visitor } from '../../private-network/visitor.ts';
import type { PublicPortRecord } from '../../store/contract/records.ts';
import { type OpenPort, PortDoor, type PortParts } from './open-port.ts';
import type { PortSettings, PortTarget } from './port-settings.ts';

/** Listens. Throws 'listen.failed'. */
export async function openUdpPort(
  parts: PortParts,
  route: PublicPortRecord,
  settings: PortSettings,
): Promise<OpenPort> {
  const port = new UdpPort(parts, route, settings);
  await port.listen();
  return port;
}

interface Session {
  readonly flow: UdpFlow;
  /** Before each datagram to the origin; undefined = nothing. */
  readonly header: Buffer | undefined;
  /** The last one heard: it answers from the address that was asked. */
  client: UdpClient;
}

class UdpPort implements OpenPort {
  readonly #parts: PortParts;
  readonly #route: PublicPortRecord;
  readonly #settings: PortSettings;
  readonly #door: PortDoor;
  /** By source address and port. */
  readonly #sessions = new Map<string, Session>();
  #listener: UdpListener | undefined;
  #isStopped = false;

  constructor(parts: PortParts, route: PublicPortRecord, settings: PortSettings) {
    this.#parts = parts;
    this.#route = route;
    this.#settings = settings;
    this.#door = new PortDoor(parts, route, settings);
  }

  async listen(): Promise<void> {
    const { host, logger } = this.#parts;
    this.#listener = await openUdpListener(
      { host, port: this.#route.port, logger },
      { message: (message, from) => this.#take(message, from), lost: () => undefined },
    );
  }

  stop(): void {
    this.#isStopped = true;
  }

  async close(): Promise<void> {
    this.stop();
    for (const { flow } of [...this.#sessions.values()]) flow.close();
    this.#listener?.close();
  }

  #take(message: Buffer, client: UdpClient): void {
    const key = `${client.address} ${client.port}`;
    const known = this.#sessions.get(key);
    const session = known ?? (this.#isStopped ? undefined : this.#begin(key, client));
    if (session === undefined) return;
    session.client = client;
    session.flow.send(session.header === undefined ? message : Buffer.concat([session.header, message]));
  }

  /** Undefined when there is no place, or nothing to lead to. */
  #begin(key: string, client: UdpClient): Session | undefined {
    const { target, idleMs } = this.#settings;
    const { network } = this.#door;
    if (target.kind !== 'private' || target.host.kind !== 'address' || network === undefined) return undefined;
    const leave = this.#door.admit(client.address);
    if (leave === undefined) return undefined;
    const sourceAddress = plainAddress(client.address);
    const who: Visitor = { onRamp: 'public-port', network, sourceAddress, sourcePort: client.port };
    const subject = subjectOf(who, 'udp', target.host, target.port);
    try {
      const { through } = this.#parts.network;
      const flow = through.openUdp(subject, this.#route.tunnelId, target.host.address, idleMs, {
        payload: payload => void this.#sessions.get(key)?.client.reply(Buffer.from(payload)),
        ended: end => {
          this.#sessions.delete(key);
          leave();
          if (end.kind === 'unreachable' || end.kind === 'refused') this.#door.refuse('unreachable', client.address);
        },
      });
      const session = { flow, client, header: this.#header(sourceAddress, client.port, target) };
      this.#sessions.set(key, session);
      return session;
    } catch (error) {
      leave();
      if (!isPosternError(error, 'flow.limit')) throw error;
      return this.#door.refuse('edge-full', client.address);
    }
  }

  /** On every datagram, not the first alone: that one may be lost on its way. */
  #header(
    sourceAddress: string,
    sourcePort: number,
    target: PortTarget & { readonly kind: 'private' },
  ): Buffer | undefined {
    const { proxyProtocol } = this.#settings;
    if (proxyProtocol === undefined || target.host.kind !== 'address') return undefined;
    // Which of its addresses the edge was asked at, a socket on all of them does not tell.
    const destinationAddress = sourceAddress.includes(':') ? '::' : '0.0.0.0';
    const destination = { destinationAddress, destinationPort: this.#route.port };
    return proxyHeader(proxyProtocol, { transport: 'udp', sourceAddress, sourcePort, ...destination });
  }
}
