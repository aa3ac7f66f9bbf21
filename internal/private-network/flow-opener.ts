// Opens flows through a tunnel, once it is known which: a stream or a UDP flow on a live connection of it, told to the tracker.
// Nothing else opens a stream or session to a private address. Source: docs/protocol/ingress-and-origin.md §11,
// docs/protocol/datagrams.md §4–5.

import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { ConnectorRegistry, RegisteredConnection } from '../carriers/connector-registry.ts';
import { IdleWheel } from '../datagram/channel/idle-wheel.ts';
import { type EdgeFlow, EdgeFlows, type FlowEnd } from '../datagram/edge/edge-flow.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import type { IpBytes } from '../net/address/ip.ts';
import { WebSocketStream } from '../net/websocket/websocket-stream.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection, OutgoingStream, RequestHead } from '../transport/transport.ts';
import type { ConnectionDatagrams } from './connection-datagrams.ts';
import type { FlowEndReason, FlowSubject } from './flows/flow.ts';
import type { FlowTracker, OpenFlow } from './flows/flow-tracker.ts';
import type { UdpFlow, UdpFlowEvents } from './flows/udp-flow.ts';
import { formatPrivateTarget, type PrivateHost } from './routes/private-host.ts';
import { formatSource, subjectOf, type Visitor } from './visitor.ts';

export interface FlowOpenerOptions {
  readonly registry: ConnectorRegistry;
  readonly datagrams: ConnectionDatagrams;
  readonly tracker: FlowTracker;
  readonly logger: Logger;
  /** How long a stream waits for a connector that is just coming back, in milliseconds. */
  readonly reconnectWaitMs: number;
}

export interface TcpFlow {
  /** Both directions half-open; its 'close' ends the flow. */
  readonly stream: Duplex;
  readonly flow: OpenFlow;
}

/** Connections tried for one stream: the four of a connector, once each. */
const maxAttempts = 4;
/** Longest wait for the connector's answer: its dial takes 5 s by default; operators with slow networks set more. */
const answerTimeoutMs = 30_000;

export class FlowOpener {
  readonly udp: EdgeFlows;
  readonly #options: FlowOpenerOptions;

  constructor(options: FlowOpenerOptions) {
    this.#options = options;
    this.udp = new EdgeFlows({ wheel: new IdleWheel(), log: options.logger });
  }

  /**
   * Opens a TCP stream. Throws 'connection.lost' (no connector), 'origin.refused' (the destination said no),
   * 'origin.unreachable' (the connector could not reach it), 'dial.timeout', 'flow.limit', 'stream.aborted' (`visitor` closed
   * first, or the flow was cut).
   */
  async openTcp(who: Visitor, tunnelId: TunnelId, host: PrivateHost, port: number, visitor: Duplex): Promise<TcpFlow> {
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
    return this.#open(subjectOf(who, 'tcp', host, port), tunnelId, head, visitor);
  }

  /**
   * Opens a TCP stream to the service of the ingress rule that `hostname` chooses at the connector, which must be one for
   * TCP. Throws as `openTcp`; a service of another kind is 'origin.unreachable'.
   */
  async openIngress(who: Visitor, tunnelId: TunnelId, hostname: string, visitor: Duplex): Promise<TcpFlow> {
    const head: RequestHead = {
      kind: 'websocket',
      method: 'GET',
      scheme: 'https',
      host: hostname,
      path: '/',
      headers: [
        ...['Upgrade', 'websocket', 'Connection', 'Upgrade', 'Sec-WebSocket-Version', '13'],
        ...['Sec-WebSocket-Key', randomBytes(16).toString('base64')],
        ...['Cf-Connecting-Ip', who.sourceAddress, 'X-Forwarded-For', who.sourceAddress],
      ],
      bodyLength: -1,
    };
    const subject = subjectOf(who, 'tcp', { kind: 'name', name: hostname }, 0);
    const { stream, flow } = await this.#open(subject, tunnelId, head, visitor);
    return { stream: new WebSocketStream(stream, { side: 'client' }), flow };
  }

  async #open(subject: FlowSubject, tunnelId: TunnelId, head: RequestHead, visitor: Duplex): Promise<TcpFlow> {
    if (visitor.destroyed) throw abortedFlow();
    const flow = this.#options.tracker.open(subject, tunnelId);
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
      const tried: EdgeConnection[] = [];
      for (;;) {
        const { connection } = await this.#pick(tunnelId, subject.accountTag, tried);
        if (cutBy !== undefined) throw abortedFlow();
        tried.push(connection);
        try {
          // A host of a TCP flow is dialled; any other might be the connector's own.
          stream = head.kind === 'tcp' ? connection.request(head) : this.#options.registry.ask(connection, head);
          const { body } = stream;
          body.on('error', ignore);
          await answered(stream, head.kind);
          if (cutBy !== undefined) throw abortedFlow();
          body.once('close', () => flow.end(body.readableEnded && body.writableFinished ? 'closed' : 'reset'));
          return { stream: body, flow };
        } catch (error) {
          stream?.reset();
          // Nothing was sent yet, so the next connection may be tried.
          const isGone = isPosternError(error, 'connection.closed') || isPosternError(error, 'connection.lost');
          if (cutBy !== undefined) throw abortedFlow(error);
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

  /** Opens a UDP flow; whatever goes wrong later is told by `ended`. Throws 'flow.limit'. */
  openUdp(subject: FlowSubject, tunnelId: TunnelId, address: IpBytes, idleMs: number, events: UdpFlowEvents): UdpFlow {
    const flow = this.#options.tracker.open(subject, tunnelId);
    let carrier: EdgeFlow | undefined;
    flow.measure = () => ({ up: carrier?.bytesUp ?? 0, down: carrier?.bytesDown ?? 0 });
    flow.cut = reason => {
      flow.end(reason);
      carrier?.close();
    };
    carrier = this.udp.open({
      address,
      port: subject.destinationPort,
      idleMs,
      route: () => this.#options.datagrams.pick(tunnelId, subject.accountTag),
      waitingLimit: events.hold,
      payload: events.payload,
      ended: end => {
        flow.end(endReason(end));
        events.ended(end);
      },
    });
    return carrier;
  }

  /** Ends every UDP flow. */
  close(): void {
    this.udp.close();
  }

  async #pick(tunnelId: TunnelId, accountTag: string, tried: readonly EdgeConnection[]): Promise<RegisteredConnection> {
    const { registry, reconnectWaitMs } = this.#options;
    let picked = registry.pick(tunnelId, tried);
    if (picked === undefined && (await registry.waitForReturn(tunnelId, reconnectWaitMs)))
      picked = registry.pick(tunnelId, tried);
    if (picked?.accountTag === accountTag) return picked;
    throw new PosternError('connection.lost', 'No connector of the route’s tunnel is connected.');
  }
}

/** Settles when the connector has dialled; throws what it said, or 'dial.timeout'. */
async function answered(stream: OutgoingStream, kind: RequestHead['kind']): Promise<void> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stream.reset();
  }, answerTimeoutMs);
  try {
    const { status } = await stream.response;
    if (status !== 101 && (kind !== 'tcp' || status !== 200))
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

/** The client of a flow went, or the flow was cut, before there was one. */
export function abortedFlow(cause?: unknown): PosternError {
  return new PosternError('stream.aborted', 'The flow was ended before it began.', { cause });
}

function endReason(end: FlowEnd): FlowEndReason {
  return end.kind === 'connector' ? 'reset' : end.kind;
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
