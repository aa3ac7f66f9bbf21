// Private-network TCP: dials the destination of the stream and joins the two, half-close included. Not subject to ingress
// rules. Source: docs/protocol/ingress-and-origin.md §11, docs/protocol/edge-protocol.md §9.3.2, §10.8.

import { describeError, errorFields, type PosternError } from '../errors/error.ts';
import { formatIp, parseIp } from '../net/address/ip.ts';
import { chooseResolver, isVirtualDns, type ResolverAddress } from '../net/address/virtual-dns.ts';
import { splice } from '../net/stream/splice.ts';
import type { WriteWatch } from '../net/stream/write-watch.ts';
import { type AllowAddress, dial, type NameLookup, parseTarget, type TcpTarget } from '../origin/dial/dial.ts';
import { upgradeHeaders } from '../origin/websocket/websocket-accept.ts';
import type { WarpRouting } from '../schema/ingress-rule.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { IncomingStream } from '../transport/transport.ts';
import { type FlowLimiter, flowLimitMessage } from './flow-limiter.ts';
import type { ProxyMetrics } from './metrics.ts';

export interface TcpContext {
  readonly log: Logger;
  readonly metrics: ProxyMetrics | undefined;
  readonly limiter: FlowLimiter;
  readonly routing: WarpRouting;
  /** Asked about the destination; undefined = any. The virtual DNS service is always allowed. */
  readonly allow: AllowAddress | undefined;
  /** For the virtual DNS service; empty = the system's. */
  readonly resolvers: readonly ResolverAddress[];
  /** How names are resolved; undefined = as the system does. */
  readonly lookup: NameLookup | undefined;
  /** Watches the destination's side; undefined = it may take its time. */
  readonly writes: WriteWatch | undefined;
}

/** docs/protocol/datagrams.md §8. */
const dnsConnectTimeoutMs = 5_000;

/** Serves one stream of kind 'tcp' to `IP:port`, or `name:port` between our own ends. Never throws. */
export function serveTcp(incoming: IncomingStream, context: TcpContext): void {
  const { head, body } = incoming;
  const { log, metrics, limiter, routing } = context;
  const target = parseTarget(head.host);
  body.on('error', ignore);
  if (target === undefined) {
    log.error({ event: 1, dest: head.host }, 'TCP destination is not IP:port');
    incoming.refuse({ message: `invalid destination ${JSON.stringify(head.host)}, want IP:port` });
    return;
  }
  if (!limiter.acquire()) {
    metrics?.flowRateLimited();
    log.warn({ event: 2, dest: head.host, limit: limiter.limit }, 'Too many active flows');
    incoming.refuse({ message: flowLimitMessage, rateLimited: true });
    return;
  }
  metrics?.tcpStarted();
  const isDns = isDnsTarget(target);
  if (isDns) metrics?.virtualDns();
  const settings = {
    connectTimeoutMs: isDns ? dnsConnectTimeoutMs : routing.connectTimeoutMs,
    tcpKeepAliveMs: isDns ? 0 : routing.tcpKeepAliveMs,
    noHappyEyeballs: false,
    halfOpen: true,
    allow: isDns ? undefined : context.allow,
    lookup: context.lookup,
    onConnected: (tookMs: number) => metrics?.connected(tookMs),
  };
  const dialing = dial(isDns ? resolverTarget(context.resolvers) : target, settings, undefined, (error, socket) => {
    if (body.destroyed) socket?.destroy();
    else if (socket === undefined) refuse(incoming, context, error);
    else {
      incoming.respond({ status: 200, headers: upgradeHeaders(head.headers) });
      splice(body, socket);
      context.writes?.watch(socket, () => socket.destroy());
    }
  });
  body.once('close', () => {
    dialing.cancel();
    limiter.release();
    metrics?.tcpEnded();
  });
}

function refuse(incoming: IncomingStream, { log, metrics }: TcpContext, error: PosternError | undefined): void {
  const dest = incoming.head.host;
  metrics?.connectFailed();
  log.error({ event: 2, ...error?.details, dest, ...errorFields(error) }, 'TCP dial failed');
  const message = `unable to dial tcp to origin ${dest}: ${describeError(error?.cause ?? error)}`;
  if (error?.details?.cause === 'ECONNREFUSED') incoming.refuse({ message, dialRefused: true });
  else incoming.refuse({ message });
}

function isDnsTarget({ host, port }: TcpTarget): boolean {
  const address = parseIp(host);
  return address !== undefined && isVirtualDns(address, port);
}

function resolverTarget(resolvers: readonly ResolverAddress[]): TcpTarget {
  const { address, port } = chooseResolver(resolvers);
  return { kind: 'tcp', host: formatIp(address), port };
}

function ignore(): void {
  // The 'close' that follows is what counts.
}
