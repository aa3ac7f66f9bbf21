// HTTP-type origins: http, https, ws, wss, h2c, unix, unix+tls. Chooses address, TLS name and Host for each request and
// hands it to the client that speaks to the origin. Source: docs/protocol/ingress-and-origin.md §4, §8, §9.

import type { SecureContext } from 'node:tls';
import { PosternError } from '../../errors/error.ts';
import type { HeaderList } from '../../net/http/header-list.ts';
import { type ForwardProxy, proxyAuthorization } from '../../net/proxy/forward-proxy.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import type { Service } from '../../schema/service.ts';
import { type DialCare, type DialSettings, type DialTarget, type DialTls, dial, targetText } from '../dial/dial.ts';
import { chooseProxy, type OutboundProxySettings } from '../dial/outbound-proxy.ts';
import { createOriginContext, readCaPool } from '../dial/tls-roots.ts';
import type { Exchange, Origin } from '../exchange/exchange.ts';
import { originFailure } from '../exchange/failure.ts';
import { gatherBody } from './gather-body.ts';
import { Http1Pool } from './http1.ts';
import type { RequestLine } from './http1-request.ts';
import { Http2Pool } from './http2.ts';
import { checkTarget, forwardHeaders, type HeaderPolicy, hostOf } from './request-headers.ts';

export type HttpService = Extract<Service, { kind: 'http' | 'unix' }>;

export interface HttpOriginOptions {
  readonly service: HttpService;
  readonly originRequest: OriginRequest;
  /** `Cf-Warp-Tag-*` headers for every request. */
  readonly tags: HeaderList;
  /** Forward proxies of the service's environment. */
  readonly proxy?: OutboundProxySettings | undefined;
  readonly onConnected?: DialCare['onConnected'];
}

/** A pool a TLS name, so many at most: names come from visitors. The one unused for longest makes room. */
export const maxPools = 64;

/** Opens the origin of one rule: reads its caPool; connections are made when requests come. Throws 'config.invalid'. */
export async function openHttpOrigin(options: HttpOriginOptions): Promise<HttpOrigin> {
  const { caPool } = options.originRequest;
  return new HttpOrigin(options, caPool === '' ? undefined : await readCaPool(caPool));
}

interface Pool {
  request(exchange: Exchange, line: RequestLine): void;
  /** Ends what is idle, and what is busy as soon as it is not. */
  retire(): void;
  /** Ends everything. */
  close(): void;
}

export class HttpOrigin implements Origin {
  readonly #target: DialTarget;
  readonly #dest: string;
  readonly #originRequest: OriginRequest;
  readonly #policy: HeaderPolicy;
  readonly #onConnected: DialCare['onConnected'];
  readonly #protocol: 'http' | 'https' | 'h2c';
  /** TLS name when it does not depend on the request; '' without TLS. */
  readonly #fixedName: string | undefined;
  readonly #caPool: string | undefined;
  /** Forward proxy that connections are tunnelled through, or that plain requests are handed to. */
  readonly #via: ForwardProxy | undefined;
  readonly #asked: ForwardProxy | undefined;
  readonly #pathPrefix: string = '';
  readonly #proxyAuthorization: string | undefined;
  /** Least recently used first. */
  readonly #pools = new Map<string, Pool>();
  #context: SecureContext | undefined;

  constructor(options: HttpOriginOptions, caPool: string | undefined) {
    const { service, originRequest } = options;
    this.#originRequest = originRequest;
    this.#caPool = caPool;
    this.#onConnected = options.onConnected;
    if (service.kind === 'unix') {
      this.#target = { kind: 'unix', path: service.path };
      this.#protocol = service.tls ? 'https' : 'http';
      // A socket has no name of its own: it is verified under the one the visitor asked for.
      this.#fixedName = originRequest.originServerName === '' ? undefined : originRequest.originServerName;
      this.#policy = { hostHeader: '', tags: options.tags };
    } else {
      this.#target = { kind: 'tcp', host: service.hostname, port: service.port };
      this.#protocol =
        service.scheme === 'h2c' ? 'h2c' : service.scheme === 'https' || service.scheme === 'wss' ? 'https' : 'http';
      this.#fixedName = originRequest.matchSNItoHost ? undefined : originRequest.originServerName || service.hostname;
      this.#policy = { hostHeader: originRequest.httpHostHeader, tags: options.tags };
    }
    if (this.#protocol !== 'https') this.#fixedName = '';
    this.#via = viaProxy(options);
    // A request over plain HTTP is handed to the proxy itself, in absolute form (RFC 9112 §3.2.2); all else is tunnelled.
    if (this.#via !== undefined && this.#via.kind !== 'socks5' && this.#protocol === 'http') {
      this.#asked = this.#via;
      this.#pathPrefix = `http://${targetText(this.#target)}`;
      this.#proxyAuthorization = proxyAuthorization(this.#via);
    }
    this.#dest = targetText(this.#target);
  }

  serve(exchange: Exchange): void {
    try {
      const { head } = exchange;
      checkTarget(head);
      const host = hostOf(head, this.#policy, this.#dest);
      const { headers, expectContinue } = forwardHeaders(head, this.#policy);
      const pool = this.#pool(this.#fixedName ?? nameOf(host));
      if (this.#proxyAuthorization !== undefined) headers.push('Proxy-Authorization', this.#proxyAuthorization);
      // In absolute form an empty path stands for `*` (RFC 9112 §3.2.4).
      const path = head.path === '*' && this.#pathPrefix !== '' ? this.#pathPrefix : this.#pathPrefix + head.path;
      const line = { path, host, headers, expectContinue };
      if (head.bodyLength < 0 && head.kind === 'http' && this.#originRequest.disableChunkedEncoding)
        gatherBody(exchange, gathered => pool.request(exchange, { ...line, gathered }));
      else pool.request(exchange, line);
    } catch (error) {
      exchange.fail(error instanceof PosternError ? error : originFailure('request', this.#dest, error));
    }
  }

  async close(): Promise<void> {
    for (const pool of this.#pools.values()) pool.close();
    this.#pools.clear();
  }

  #pool(serverName: string): Pool {
    const existing = this.#pools.get(serverName);
    if (existing !== undefined) {
      if (this.#fixedName === undefined) {
        this.#pools.delete(serverName);
        this.#pools.set(serverName, existing);
      }
      return existing;
    }
    for (const [name, pool] of this.#pools) {
      if (this.#pools.size < maxPools) break;
      this.#pools.delete(name);
      pool.retire();
    }
    const pool = this.#createPool(serverName);
    this.#pools.set(serverName, pool);
    return pool;
  }

  #createPool(serverName: string): Pool {
    const { http2Origin } = this.#originRequest;
    if (this.#protocol === 'h2c') return this.#createHttp2(serverName, 'http', ['h2']);
    if (this.#protocol === 'https' && http2Origin) return this.#createHttp2(serverName, 'https', ['h2', 'http/1.1']);
    return this.#createHttp1(serverName);
  }

  #createHttp1(serverName: string): Http1Pool {
    const { keepAliveTimeoutMs, keepAliveConnections } = this.#originRequest;
    const asked = this.#asked;
    const target: DialTarget = asked === undefined ? this.#target : { kind: 'tcp', host: asked.host, port: asked.port };
    const tls =
      asked === undefined ? this.#createTls(serverName, ['http/1.1']) : createProxyTls(asked, this.#originRequest);
    return new Http1Pool({
      dest: this.#dest,
      keepAliveTimeoutMs,
      maxIdle: keepAliveConnections,
      open: done => dial(target, this.#dialSettings(), tls, done),
    });
  }

  #createHttp2(serverName: string, scheme: 'http' | 'https', alpn: readonly string[]): Http2Pool {
    const tls = this.#createTls(serverName, alpn);
    return new Http2Pool({
      dest: this.#dest,
      scheme,
      keepAliveTimeoutMs: this.#originRequest.keepAliveTimeoutMs,
      // node:http2 notices the origin's FIN only on a socket that is not half-open.
      open: done => dial(this.#target, { ...this.#dialSettings(), halfOpen: false }, tls, done),
      http1: this.#createHttp1(serverName),
    });
  }

  #dialSettings(): DialSettings {
    const { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs } = this.#originRequest;
    const via = this.#asked === undefined ? this.#via : undefined;
    return { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs, halfOpen: true, via, onConnected: this.#onConnected };
  }

  #createTls(serverName: string, alpn: readonly string[]): DialTls | undefined {
    if (this.#protocol !== 'https') return undefined;
    const { noTLSVerify, tlsTimeoutMs } = this.#originRequest;
    this.#context ??= createOriginContext(!noTLSVerify, this.#caPool);
    return { serverName, context: this.#context, verify: !noTLSVerify, alpn, timeoutMs: tlsTimeoutMs };
  }
}

/** The forward proxy for a rule's origin; sockets of the file system have none. */
function viaProxy({ service, proxy }: HttpOriginOptions): ForwardProxy | undefined {
  if (proxy === undefined || service.kind === 'unix') return undefined;
  const secure = service.scheme === 'https' || service.scheme === 'wss';
  return chooseProxy(proxy, secure ? 'https' : 'http', service.hostname, service.port);
}

function createProxyTls(proxy: ForwardProxy, { tlsTimeoutMs }: OriginRequest): DialTls | undefined {
  if (proxy.kind !== 'https') return undefined;
  const context = createOriginContext(true, undefined);
  return { serverName: proxy.host, context, verify: true, alpn: ['http/1.1'], timeoutMs: tlsTimeoutMs };
}

/** The host part of a Host header: no port, no brackets. */
function nameOf(host: string): string {
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  const colon = host.indexOf(':');
  return colon === -1 ? host : host.slice(0, colon);
}
