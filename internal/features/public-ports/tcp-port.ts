// A public TCP port: each connection becomes a flow through the port's tunnel, half-close included.

import { createServer, type Server, type Socket } from 'node:net';
import { errorFields, PosternError } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { proxyHeader } from '../../net/proxy-protocol/proxy-header.ts';
import { listenFailed, listenTcp } from '../../net/stream/listen-tcp.ts';
import { joinFlow } from '../../on-ramps/entrance/join-flow.ts';
import type { TcpFlow } from '../../private-network/flow-opener.ts';
import type { OpenFlow } from '../../private-network/flows/flow-tracker.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { PublicPortRecord } from '../../store/contract/records.ts';
import { type OpenPort, PortDoor, type PortParts } from './open-port.ts';
import type { PortSettings } from './port-settings.ts';

/** Listens. Throws 'listen.failed'. */
export async function openTcpPort(
  parts: PortParts,
  route: PublicPortRecord,
  settings: PortSettings,
): Promise<OpenPort> {
  const port = new TcpPort(parts, route, settings);
  try {
    await listenTcp(port.server, parts.host, route.port);
  } catch (error) {
    throw listenFailed('a public port', parts.host, route.port, error);
  }
  return port;
}

class TcpPort implements OpenPort {
  readonly server: Server;
  readonly #parts: PortParts;
  readonly #route: PublicPortRecord;
  readonly #settings: PortSettings;
  readonly #door: PortDoor;
  /** With their flows, once they have one. */
  readonly #sockets = new Map<Socket, OpenFlow | undefined>();
  #closed: Promise<void> | undefined;

  constructor(parts: PortParts, route: PublicPortRecord, settings: PortSettings) {
    this.#parts = parts;
    this.#route = route;
    this.#settings = settings;
    this.#door = new PortDoor(parts, route, settings);
    const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
    this.server = createServer(options, socket => this.#accept(socket));
  }

  stop(): void {
    this.#closed ??= new Promise(resolve => {
      this.server.close(() => resolve());
    });
  }

  async close(): Promise<void> {
    this.stop();
    for (const [socket, flow] of this.#sockets) {
      flow?.cut('route-changed');
      cut(socket);
    }
    await this.#closed;
  }

  #accept(socket: Socket): void {
    socket.on('error', ignore);
    const leave = this.#door.admit(socket.remoteAddress);
    if (leave === undefined) {
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.set(socket, undefined);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      leave();
    });
    void this.#serve(socket);
  }

  /** Never rejects. */
  async #serve(socket: Socket): Promise<void> {
    const { proxyProtocol, idleMs } = this.#settings;
    const sourceAddress = plainAddress(socket.remoteAddress);
    const { remotePort: sourcePort = 0, localAddress = '', localPort = this.#route.port } = socket;
    let opened: TcpFlow;
    try {
      opened = await this.#open(socket, sourceAddress, sourcePort);
    } catch (error) {
      if (socket.destroyed) return;
      this.#door.refuse('unreachable', sourceAddress);
      const { logger } = this.#parts;
      logger.debug(
        { port: this.#route.port, src: sourceAddress, ...errorFields(error) },
        'A public port leads nowhere',
      );
      socket.resetAndDestroy();
      return;
    }
    const { stream, flow } = opened;
    if (socket.destroyed) {
      flow.cut('closed');
      return;
    }
    this.#sockets.set(socket, flow);
    if (proxyProtocol !== undefined) {
      const destination = { destinationAddress: plainAddress(localAddress), destinationPort: localPort };
      stream.write(proxyHeader(proxyProtocol, { transport: 'tcp', sourceAddress, sourcePort, ...destination }));
    }
    if (idleMs > 0)
      socket.setTimeout(idleMs, () => {
        flow.cut('idle');
        cut(socket);
      });
    joinFlow(socket, opened);
  }

  async #open(socket: Socket, sourceAddress: string, sourcePort: number): Promise<TcpFlow> {
    const { network } = this.#door;
    if (network === undefined) throw new PosternError('flow.denied', 'The account of the port is gone');
    const who: Visitor = { onRamp: 'public-port', network, sourceAddress, sourcePort };
    const { through } = this.#parts.network;
    const { target } = this.#settings;
    const { tunnelId } = this.#route;
    if (target.kind === 'ingress') return through.openIngress(who, tunnelId, target.hostname, socket);
    return through.openTcp(who, tunnelId, target.host, target.port, socket);
  }
}

/** So that the visitor can tell it from an orderly end. */
function cut(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
