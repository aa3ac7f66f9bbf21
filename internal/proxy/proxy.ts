// The proxy: one incoming stream → ingress rule → origin → response. Owns the loaded configuration and swaps it for another
// without touching running requests. Source: docs/protocol/ingress-and-origin.md §5, §7–13.

import { errorFields, PosternError } from '../errors/error.ts';
import type { Matcher } from '../ingress/match.ts';
import type { ResolverAddress } from '../net/address/virtual-dns.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import { isManagementHost } from '../net/http/management-host.ts';
import { WriteWatch } from '../net/stream/write-watch.ts';
import type { AllowAddress, NameLookup } from '../origin/dial/dial.ts';
import type { OutboundProxySettings } from '../origin/dial/outbound-proxy.ts';
import { resolverLookup } from '../origin/dial/resolver-lookup.ts';
import type { ExchangeHead } from '../origin/exchange/exchange.ts';
import { createTagHeaders } from '../origin/http/request-headers.ts';
import { openOrigin } from '../origin/open.ts';
import type { IngressConfig, IngressRule } from '../schema/ingress-rule.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Tracer } from '../telemetry/tracing/tracer.ts';
import type { ConnectorHandler, IncomingStream } from '../transport/transport.ts';
import { AccessGuard } from './access-guard.ts';
import type { AccessLog } from './access-log.ts';
import { type ExchangeSubject, StreamExchange } from './exchange.ts';
import { FlowLimiter } from './flow-limiter.ts';
import { LoadedConfiguration, type Route } from './loaded-configuration.ts';
import type { ProxyMetrics } from './metrics.ts';
import { beginTrace } from './request-trace.ts';
import { serveTcp } from './tcp.ts';

export interface ProxyOptions {
  readonly log: Logger;
  readonly metrics?: ProxyMetrics | undefined;
  /** The caller's to close, after the proxy. */
  readonly accessLog?: AccessLog | undefined;
  /** Traces requests; the caller's to close, after the proxy. Undefined = only for an edge that asks. */
  readonly tracer?: Tracer | undefined;
  /** UUID of this connector, sent as `Cf-Warp-Tag-Id`. */
  readonly connectorId: string;
  /** `--tag KEY=VALUE` pairs. */
  readonly tags: Readonly<Record<string, string>>;
  readonly createMatcher: (rules: readonly IngressRule[]) => Matcher;
  /** Counts private TCP flows; given where UDP sessions count with them. A swap sets its limit to the configuration's. */
  readonly limiter?: FlowLimiter | undefined;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the service, for origins given by URL. */
  readonly outboundProxy?: OutboundProxySettings | undefined;
  /** Asked about destinations of private TCP; by default every one is allowed. */
  readonly allowPrivate?: AllowAddress | undefined;
  /** Asked about destinations that visitors of bastion and socks-proxy rules name; by default every one is allowed. */
  readonly allowNamed?: AllowAddress | undefined;
  /** Streams whose reader takes nothing for so long are reset, private TCP destinations as well; 0 or absent = never. */
  readonly writeTimeoutMs?: number | undefined;
  /** Resolvers given for the virtual DNS service; empty or absent = the system's. */
  readonly resolvers?: readonly ResolverAddress[] | undefined;
  /** Answers requests of the management host, before any rule; undefined = they are refused. Its caller's to close. */
  readonly management?: ManagementService | undefined;
  /** Checks rules with `access.required`; given by tests, whose issuer is their own. */
  readonly access?: AccessGuard | undefined;
}

/** The connector itself as a destination. */
export interface ManagementService {
  isFor(host: string): boolean;
  /** Must not throw. */
  serve(incoming: IncomingStream): void;
}

/** One for a connector. It answers streams once `swap` has given it a configuration. */
export class OriginProxy implements Pick<ConnectorHandler, 'stream'> {
  readonly #options: ProxyOptions;
  #tags: HeaderList;
  readonly #limiter: FlowLimiter;
  readonly #lookup: NameLookup | undefined;
  readonly #access: AccessGuard;
  readonly #writes: WriteWatch | undefined;
  readonly #retired = new Set<LoadedConfiguration>();
  #current: LoadedConfiguration | undefined;
  #closed = false;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#limiter = options.limiter ?? new FlowLimiter();
    this.#lookup = resolverLookup(options.resolvers ?? []);
    this.#access = options.access ?? new AccessGuard();
    const { writeTimeoutMs = 0 } = options;
    if (writeTimeoutMs > 0) this.#writes = new WriteWatch(writeTimeoutMs);
    this.#tags = createTagHeaders(options.connectorId, options.tags);
  }

  /** Other tags, for the origins of the configurations to come. */
  setTags(tags: Readonly<Record<string, string>>): void {
    this.#tags = createTagHeaders(this.#options.connectorId, tags);
  }

  /** The configuration in force; undefined before the first swap. */
  get config(): IngressConfig | undefined {
    return this.#current?.config;
  }

  /**
   * Opens the origins of `config` and makes it the one in force at once; requests in flight keep the old one, whose
   * origins are closed when the last of them has ended. Throws 'config.invalid' (unreadable caPool) and changes nothing.
   */
  async swap(config: IngressConfig): Promise<void> {
    const routes = new Map<IngressRule, Route>();
    let matcher: Matcher;
    try {
      for (const rule of config.rules) routes.set(rule, await this.#openRoute(rule));
      matcher = this.#options.createMatcher(config.rules);
      if (this.#closed) throw new PosternError('connection.closed', 'The proxy is closed.');
    } catch (error) {
      await Promise.all([...routes.values()].map(({ origin }) => origin.close()));
      throw error;
    }
    const old = this.#current;
    this.#current = new LoadedConfiguration(config, matcher, routes);
    this.#limiter.setLimit(config.warpRouting.maxActiveFlows);
    this.#countHosts(routes);
    if (old !== undefined) this.#retire(old);
  }

  /** Serves one stream from the edge. Never throws. */
  stream(incoming: IncomingStream): void {
    // One that closed while it waited to be served tells nobody of its end any more.
    if (incoming.body.destroyed) return;
    try {
      this.#writes?.watch(incoming.body, () => this.#giveUp(incoming));
      this.#dispatch(incoming);
    } catch (error) {
      this.#options.log.error(errorFields(error), 'Stream failed');
      refuseUnserved(incoming, 'internal error');
    }
  }

  /** Takes no new streams; settles when every running exchange has ended and every origin is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#current !== undefined) this.#retire(this.#current);
    this.#current = undefined;
    await Promise.all([...this.#retired].map(loaded => loaded.closed));
  }

  #giveUp(incoming: IncomingStream): void {
    const { log, writeTimeoutMs } = this.#options;
    const { host, kind } = incoming.head;
    log.debug({ host, kind }, `Stream reset: its reader took nothing for ${writeTimeoutMs} ms`);
    incoming.reset();
  }

  #dispatch(incoming: IncomingStream): void {
    const { head } = incoming;
    switch (head.kind) {
      case 'tcp':
        this.#tcp(incoming);
        return;
      case 'http':
      case 'websocket':
        this.#http(incoming, head as ExchangeHead);
        return;
    }
  }

  async #openRoute(rule: IngressRule): Promise<Route> {
    const { accessLog: access, allowNamed, log, metrics, outboundProxy } = this.#options;
    const subject: ExchangeSubject = {
      access,
      log,
      metrics,
      ruleIndex: rule.index,
      service: rule.service.text,
      figures: undefined,
    };
    const onConnected = (tookMs: number): void => {
      metrics?.connected(tookMs);
      subject.figures?.connect.observe(tookMs / 1_000);
    };
    const origin = await openOrigin({ rule, tags: this.#tags, log, proxy: outboundProxy, allowNamed, onConnected });
    return { origin, subject };
  }

  /** Only now: the hosts of a configuration that is not taken must not push out those of the one in force. */
  #countHosts(routes: ReadonlyMap<IngressRule, Route>): void {
    const { metrics } = this.#options;
    metrics?.keepHosts(new Set([...routes.keys()].map(rule => rule.hostname)));
    for (const [{ hostname }, { subject }] of routes) subject.figures = metrics?.figuresOf(hostname);
  }

  #http(incoming: IncomingStream, head: ExchangeHead): void {
    const loaded = this.#current;
    if (loaded === undefined) {
      refuseUnserved(incoming, 'the connector has no configuration');
      return;
    }
    const { management = noManagement } = this.#options;
    if (management.isFor(head.host)) {
      management.serve(incoming);
      return;
    }
    const rule = loaded.matcher.match(head.host, head.path);
    const route = loaded.route(rule);
    if (route === undefined) throw new PosternError('internal', `Rule ${rule.index} has no origin.`);
    const { origin, subject } = route;
    loaded.exchangeStarted();
    const trace = beginTrace(this.#options.tracer, head, subject);
    const exchange = new StreamExchange(incoming, head, subject, loaded, trace);
    const { access } = rule.originRequest;
    if (access?.required === true) this.#access.check(access, exchange, () => origin.serve(exchange));
    else origin.serve(exchange);
  }

  #tcp(incoming: IncomingStream): void {
    const { allowPrivate: allow, log, metrics, resolvers = [] } = this.#options;
    const routing = this.#current?.config.warpRouting;
    if (routing === undefined) refuseUnserved(incoming, 'the connector has no configuration');
    else {
      const own = { limiter: this.#limiter, lookup: this.#lookup, writes: this.#writes };
      serveTcp(incoming, { log, metrics, routing, allow, resolvers, ...own });
    }
  }

  #retire(loaded: LoadedConfiguration): void {
    this.#retired.add(loaded);
    loaded.retire();
    loaded.closed.then(
      () => this.#retired.delete(loaded),
      () => this.#retired.delete(loaded),
    );
  }
}

/** The access token of such a request lies in its query and is no origin's. */
const noManagement: ManagementService = {
  isFor: isManagementHost,
  serve: incoming => {
    incoming.body.on('error', () => incoming.body.destroy());
    incoming.respond({ status: 501, headers: [] }, { endStream: true });
  },
};

/** For streams that no exchange takes care of: a reset of the edge must not go unheard. */
function refuseUnserved(incoming: IncomingStream, message: string): void {
  incoming.body.on('error', () => incoming.body.destroy());
  incoming.refuse({ message });
}
