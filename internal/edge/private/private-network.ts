// The one way from an on-ramp into a private network: find the route of a destination within one virtual network, take a
// live connection of its tunnel, track the flow. Nothing else opens a stream or session to a private address.
// Source: spec ingress-and-origin §11, datagrams §4–5; issue "private networks" points 1–3, 5, 6.

import type { Duplex } from 'node:stream';
import { EdgeEcho } from '../../datagram/edge-echo.ts';
import { type EdgeFlow, EdgeFlows, type FlowEnd } from '../../datagram/edge-flow.ts';
import { IdleWheel } from '../../datagram/idle-wheel.ts';
import { isPosternError, PosternError } from '../../errors/error.ts';
import type { TunnelId } from '../../schema/api-id.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { EdgeConnection, OutgoingStream, RequestHead } from '../../transport/transport.ts';
import type { ConnectorRegistry, RegisteredConnection } from '../connectors/connector-registry.ts';
import type { FlowEndReason, FlowProtocol, FlowSubject, OnRamp } from '../flows/flow.ts';
import type { FlowTracker, OpenFlow } from '../flows/flow-tracker.ts';
import type { NetworkRecord } from '../store/records.ts';
import { ConnectionDatagrams } from './connection-datagrams.ts';
import { EchoSession } from './echo-session.ts';
import {
  formatPrivateHost,
  formatPrivateTarget,
  type PrivateHost,
  parsePrivateHost,
  routeAllows,
} from './private-host.ts';
import type { RouteTable } from './route-table.ts';

export interface PrivateNetworkOptions {
  readonly routes: RouteTable;
  readonly registry: ConnectorRegistry;
  readonly tracker: FlowTracker;
  readonly logger: Logger;
  /** How long a stream waits for a connector that is just coming back. Default 3,000, as visitors over HTTP. */
  readonly reconnectWaitMs?: number;
}

/** Who asks: an admitted visitor of one on-ramp, in the virtual network that it was admitted to. */
export interface Visitor {
  readonly onRamp: OnRamp;
  readonly network: NetworkRecord;
  /** Address text. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
}

export interface TcpFlow {
  /** Both directions half-open; its 'close' ends the flow. */
  readonly stream: Duplex;
  readonly flow: OpenFlow;
}

export interface UdpFlowEvents {
  /** One payload from the destination; the view is valid only during the call. Must not throw. */
  readonly payload: (payload: Uint8Array) => void;
  /** Exactly once. Must not throw. */
  readonly ended: (end: FlowEnd) => void;
}

export interface UdpFlow {
  /** Sends one payload, copied if it has to wait; false when it was dropped, which is counted. */
  send(payload: Uint8Array): boolean;
  /** Idempotent. */
  close(): void;
}

/** Connections tried for one stream: the four of a connector, once each. */
const maxAttempts = 4;
/** Longest wait for the connector's answer: its dial takes 5 s by default; operators with slow networks set more. */
const answerTimeoutMs = 30_000;
/** Routes changed in one go (a script adds thousands) are one reason to look at the flows. */
const recheckDelayMs = 50;
/**
 * Where echo requests come from. No host has these addresses (RFC 7600 dummy address, RFC 6666 discard prefix); they
 * only carry replies back to us.
 */
const echoSources = {
  4: Uint8Array.of(192, 0, 0, 8),
  6: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
};

export class PrivateNetwork {
  readonly routes: RouteTable;
  readonly tracker: FlowTracker;
  readonly echo = new EdgeEcho(echoSources);
  readonly udp: EdgeFlows;
  readonly #registry: ConnectorRegistry;
  readonly #datagrams: ConnectionDatagrams;
  readonly #reconnectWaitMs: number;
  readonly #unfollow: () => void;
  #recheck: NodeJS.Timeout | undefined;

  constructor({ routes, registry, tracker, logger, reconnectWaitMs }: PrivateNetworkOptions) {
    this.#reconnectWaitMs = reconnectWaitMs ?? 3_000;
    this.routes = routes;
    this.tracker = tracker;
    this.udp = new EdgeFlows({ wheel: new IdleWheel(), log: logger });
    this.#registry = registry;
    this.#datagrams = new ConnectionDatagrams({ registry, echo: this.echo, logger });
    this.#unfollow = routes.onChange(() => {
      this.#recheck ??= setTimeout(() => this.#cutStrayFlows(), recheckDelayMs);
    });
  }

  /**
   * Opens a TCP stream. Throws 'flow.denied' (no route, or the connector's own machine), 'flow.limit', 'connection.lost'
   * (no connector), 'origin.unreachable' (the connector could not), 'dial.timeout', 'stream.aborted' (`visitor` closed
   * first, or the route went). The caller joins the two with `joinFlow`.
   */
  async openTcp(who: Visitor, host: PrivateHost, port: number, visitor: Duplex): Promise<TcpFlow> {
    const subject = subjectOf(who, 'tcp', host, port);
    const tunnelId = this.#route(subject, who.network, host);
    const flow = this.tracker.open(subject, tunnelId);
    let stream: OutgoingStream | undefined;
    let cutBy: FlowEndReason | undefined;
    flow.cut = reason => {
      cutBy = reason;
      stream?.reset();
      flow.end(reason);
    };
    const gone = (): void => flow.cut('closed');
    visitor.once('close', gone);
    try {
      const head: RequestHead = {
        kind: 'tcp',
        method: 'GET',
        scheme: 'https',
        host: formatPrivateTarget(host, port),
        path: '/',
        headers: [],
        source: formatSource(who),
        bodyLength: -1,
      };
      const tried: EdgeConnection[] = [];
      for (;;) {
        const { connection } = await this.#pick(tunnelId, who.network.accountTag, tried);
        if (cutBy !== undefined) throw aborted();
        tried.push(connection);
        try {
          stream = connection.request(head);
          const { body } = stream;
          body.on('error', ignore);
          await answered(stream);
          body.once('close', () => flow.end(body.readableEnded && body.writableFinished ? 'closed' : 'reset'));
          return { stream: body, flow };
        } catch (error) {
          stream?.reset();
          // Nothing was sent yet, so the next connection may be tried.
          const isGone = isPosternError(error, 'connection.closed') || isPosternError(error, 'connection.lost');
          if (cutBy !== undefined) throw aborted(error);
          if (!isGone || tried.length >= maxAttempts) throw error;
        }
      }
    } catch (error) {
      flow.end(isPosternError(error, 'connection.lost') ? 'unreachable' : 'refused');
      throw error;
    } finally {
      visitor.off('close', gone);
    }
  }

  /**
   * Opens a UDP flow to an address; payloads may be sent at once. Throws 'flow.denied' and 'flow.limit'; whatever goes
   * wrong later is told by `ended`.
   */
  openUdp(who: Visitor, host: PrivateHost, port: number, idleMs: number, events: UdpFlowEvents): UdpFlow {
    const subject = subjectOf(who, 'udp', host, port);
    const { accountTag } = who.network;
    if (host.kind === 'name') {
      this.tracker.deny(subject, 'no-route');
      throw new PosternError('flow.denied', `UDP to ${host.name} needs an address: names travel with TCP only`);
    }
    const tunnelId = this.#route(subject, who.network, host);
    const flow = this.tracker.open(subject, tunnelId);
    let carrier: EdgeFlow | undefined;
    flow.measure = () => ({ up: carrier?.bytesUp ?? 0, down: carrier?.bytesDown ?? 0 });
    flow.cut = reason => {
      flow.end(reason);
      carrier?.close();
    };
    carrier = this.udp.open({
      address: host.address,
      port,
      idleMs,
      route: () => this.#datagrams.pick(tunnelId, accountTag),
      payload: events.payload,
      ended: end => {
        flow.end(endReason(end));
        events.ended(end);
      },
    });
    return carrier;
  }

  /** Opens a series of echo requests to one address. Throws 'flow.denied' and 'flow.limit'. Close it. */
  openEcho(who: Visitor, host: PrivateHost): EchoSession {
    const subject = subjectOf(who, 'icmp', host, 0);
    if (host.kind === 'name') {
      this.tracker.deny(subject, 'no-route');
      throw new PosternError('flow.denied', `Echo requests need an address, ${host.name} is a name`);
    }
    const tunnelId = this.#route(subject, who.network, host);
    const flow = this.tracker.open(subject, tunnelId);
    try {
      return new EchoSession(host.address, this.echo.createClient(), flow, () =>
        this.#datagrams.pick(tunnelId, who.network.accountTag),
      );
    } catch (error) {
      flow.end('refused');
      throw error;
    }
  }

  /** Whether any connection of the edge carries datagrams of this tunnel. */
  carriesDatagrams(tunnelId: TunnelId, accountTag: string): boolean {
    return this.#datagrams.pick(tunnelId, accountTag) !== undefined;
  }

  /** Cuts every flow. */
  close(): void {
    clearTimeout(this.#recheck);
    this.#unfollow();
    this.tracker.close();
    this.udp.close();
    this.#datagrams.close();
  }

  /** The tunnel of the destination's route. Throws 'flow.denied', which is told to the tracker. */
  #route(subject: FlowSubject, network: NetworkRecord, host: PrivateHost): TunnelId {
    const found = this.#lookup(network.id, network.accountTag, host);
    if (typeof found === 'object') return found.tunnelId;
    this.tracker.deny(subject, found);
    const text = formatPrivateHost(host);
    throw new PosternError(
      'flow.denied',
      found === 'no-route'
        ? `No route of the virtual network ${network.name} leads to ${text}`
        : `${text} is an address of the connector's own machine or link; only a route that names it leads there`,
    );
  }

  #lookup(
    networkId: string,
    accountTag: string,
    host: PrivateHost,
  ): { readonly tunnelId: TunnelId } | 'no-route' | 'special-destination' {
    if (this.routes.network(networkId)?.accountTag !== accountTag) return 'no-route';
    const named = host.kind === 'name' ? this.routes.lookupHostname(networkId, host.name) : undefined;
    const addressed = host.kind === 'address' ? this.routes.lookup(networkId, host.address) : undefined;
    const route = named ?? addressed;
    if (route === undefined || route.accountTag !== accountTag) return 'no-route';
    if (addressed !== undefined && host.kind === 'address' && !routeAllows(addressed.prefix, host.address))
      return 'special-destination';
    return route;
  }

  async #pick(tunnelId: TunnelId, accountTag: string, tried: readonly EdgeConnection[]): Promise<RegisteredConnection> {
    let picked = this.#registry.pick(tunnelId, tried);
    if (picked === undefined && (await this.#registry.waitForReturn(tunnelId, this.#reconnectWaitMs)))
      picked = this.#registry.pick(tunnelId, tried);
    if (picked?.accountTag === accountTag) return picked;
    throw new PosternError('connection.lost', 'No connector of the route’s tunnel is connected.');
  }

  /** After a change of routes: flows whose destination leads elsewhere now, or nowhere, are cut. */
  #cutStrayFlows(): void {
    this.#recheck = undefined;
    for (const flow of this.tracker.active()) {
      const host = parsePrivateHost(flow.destination);
      const found = host === undefined ? 'no-route' : this.#lookup(flow.networkId, flow.accountTag, host);
      if (typeof found !== 'object' || found.tunnelId !== flow.tunnelId) flow.cut('route-changed');
    }
  }
}

function subjectOf(who: Visitor, protocol: FlowProtocol, host: PrivateHost, port: number): FlowSubject {
  return {
    onRamp: who.onRamp,
    protocol,
    accountTag: who.network.accountTag,
    networkId: who.network.id,
    sourceAddress: who.sourceAddress,
    sourcePort: who.sourcePort,
    destination: formatPrivateHost(host),
    destinationPort: port,
  };
}

function formatSource({ sourceAddress, sourcePort }: Visitor): string {
  return sourceAddress.includes(':') ? `[${sourceAddress}]:${sourcePort}` : `${sourceAddress}:${sourcePort}`;
}

/** Settles when the connector has dialled; throws what it said, or 'dial.timeout'. */
async function answered(stream: OutgoingStream): Promise<void> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stream.reset();
  }, answerTimeoutMs);
  try {
    const { status } = await stream.response;
    if (status !== 101 && status !== 200)
      throw new PosternError('origin.unreachable', `The connector answered with status ${status}.`);
  } catch (error) {
    if (!late) throw error;
    throw new PosternError('dial.timeout', `The connector did not answer within ${answerTimeoutMs} ms.`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function aborted(cause?: unknown): PosternError {
  return new PosternError('stream.aborted', 'The flow was ended before it began.', { cause });
}

function endReason(end: FlowEnd): FlowEndReason {
  return end.kind === 'connector' ? 'reset' : end.kind;
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
