// HTTP-type origins: http, https, ws, wss, h2c, unix, unix+tls. Chooses address, TLS name and Host for each request and
// hands it to the client that speaks to the origin. Source: spec ingress-and-origin §4, §8, §9.

import { PosternError } from '../errors/error.ts';
import type { OriginRequest } from '../schema/origin-request.ts';
import type { Service } from '../schema/service.ts';
import { type DialTarget, type DialTls, dial, targetText } from './dial.ts';
import type { Exchange, HeaderList, Origin } from './exchange.ts';
import { originFailure } from './failure.ts';
import { Http1Pool } from './http1.ts';
import { checkTarget, forwardHeaders, type HeaderPolicy, hostOf } from './request-headers.ts';
import { createOriginContext, readCaPool } from './tls-roots.ts';

export type HttpService = Extract<Service, { kind: 'http' | 'unix' }>;

export interface HttpOriginOptions {
  readonly service: HttpService;
  readonly originRequest: OriginRequest;
  /** `Cf-Warp-Tag-*` headers for every request. */
  readonly tags: HeaderList;
}

/** Opens the origin of one rule: reads its caPool; connections are made when requests come. Throws 'config.invalid'. */
export async function openHttpOrigin(options: HttpOriginOptions): Promise<HttpOrigin> {
  const { caPool } = options.originRequest;
  return new HttpOrigin(options, caPool === '' ? undefined : await readCaPool(caPool));
}

export class HttpOrigin implements Origin {
  readonly #target: DialTarget;
  readonly #dest: string;
  readonly #originRequest: OriginRequest;
  readonly #policy: HeaderPolicy;
  readonly #tls: boolean;
  /** TLS name when it does not depend on the request. */
  readonly #fixedName: string | undefined;
  readonly #caPool: string | undefined;
  readonly #pools = new Map<string, Http1Pool>();

  constructor(options: HttpOriginOptions, caPool: string | undefined) {
    const { service, originRequest } = options;
    this.#originRequest = originRequest;
    this.#caPool = caPool;
    if (service.kind === 'unix') {
      this.#target = { kind: 'unix', path: service.path };
      this.#tls = service.tls;
      // Without a host of its own a socket is verified under the name that the visitor asked for.
      this.#fixedName = originRequest.originServerName === '' ? undefined : originRequest.originServerName;
      this.#policy = { hostHeader: '', tags: options.tags };
    } else {
      this.#target = { kind: 'tcp', host: service.hostname, port: service.port };
      this.#tls = service.scheme === 'https' || service.scheme === 'wss';
      this.#fixedName = originRequest.matchSNItoHost ? undefined : originRequest.originServerName || service.hostname;
      this.#policy = { hostHeader: originRequest.httpHostHeader, tags: options.tags };
    }
    if (!this.#tls) this.#fixedName = '';
    this.#dest = targetText(this.#target);
  }

  serve(exchange: Exchange): void {
    try {
      const { head } = exchange;
      checkTarget(head);
      const host = hostOf(head, this.#policy, this.#dest);
      const { headers, expectContinue } = forwardHeaders(head, this.#policy);
      const pool = this.#pool(this.#fixedName ?? nameOf(host));
      pool.request(exchange, { path: head.path, host, headers, expectContinue });
    } catch (error) {
      exchange.fail(error instanceof PosternError ? error : originFailure('request', this.#dest, error));
    }
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    for (const pool of pools) pool.close();
  }

  #pool(serverName: string): Http1Pool {
    const existing = this.#pools.get(serverName);
    if (existing !== undefined) {
      if (this.#fixedName === undefined) {
        this.#pools.delete(serverName);
        this.#pools.set(serverName, existing);
      }
      return existing;
    }
    const pool = this.#createPool(serverName);
    this.#pools.set(serverName, pool);
    return pool;
  }

  #createPool(serverName: string): Http1Pool {
    const { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs, keepAliveTimeoutMs, keepAliveConnections } =
      this.#originRequest;
    const settings = { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs, halfOpen: true };
    const tls = this.#tls ? this.#createTls(serverName) : undefined;
    return new Http1Pool({
      dest: this.#dest,
      keepAliveTimeoutMs,
      maxIdle: keepAliveConnections,
      open: done => dial(this.#target, settings, tls, done),
    });
  }

  #createTls(serverName: string): DialTls {
    const { noTLSVerify, tlsTimeoutMs } = this.#originRequest;
    return {
      serverName,
      context: createOriginContext(!noTLSVerify, this.#caPool),
      verify: !noTLSVerify,
      alpn: ['http/1.1'],
      timeoutMs: tlsTimeoutMs,
    };
  }
}

/** The host part of a Host header: no port, no brackets. */
function nameOf(host: string): string {
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  const colon = host.indexOf(':');
  return colon === -1 ? host : host.slice(0, colon);
}
