// The chooser: from a validated ingress rule to the origin that serves it. Source: docs/protocol/ingress-and-origin.md
// §3.

import type { IngressRule } from '../schema/ingress-rule.ts';
import { originRequestDefaults } from '../schema/origin-request.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { AllowAddress } from './dial.ts';
import type { Exchange, HeaderList, Origin } from './exchange.ts';
import { type HelloWorldServer, openHelloWorld } from './hello-world.ts';
import { type HttpOrigin, openHttpOrigin } from './http.ts';
import { HttpStatusOrigin } from './http-status.ts';
import type { OutboundProxySettings } from './outbound-proxy.ts';
import { SocksProxyOrigin } from './socks-proxy.ts';
import { TcpOrigin } from './tcp.ts';

export interface OpenOriginOptions {
  readonly rule: IngressRule;
  /** `Cf-Warp-Tag-*` headers for HTTP-type origins. */
  readonly tags: HeaderList;
  readonly log: Logger;
  /** Forward proxies of the service's environment (HTTP_PROXY and its siblings), for URL services. */
  readonly proxy?: OutboundProxySettings | undefined;
  /** Asked about destinations that a visitor names: bastion and socks-proxy. */
  readonly allowNamed?: AllowAddress | undefined;
}

/** Opens the origin of a rule; the caller closes it. Throws 'config.invalid', e.g. for an unreadable caPool. */
export async function openOrigin({ rule, tags, log, proxy, allowNamed }: OpenOriginOptions): Promise<Origin> {
  const { service, originRequest } = rule;
  switch (service.kind) {
    case 'http':
    case 'unix':
      return openHttpOrigin({ service, originRequest, tags, proxy });
    case 'tcp':
      return new TcpOrigin(service, originRequest, undefined);
    case 'bastion':
      return new TcpOrigin(service, originRequest, allowNamed);
    case 'socks-proxy':
      return new SocksProxyOrigin(originRequest, log, allowNamed);
    case 'status':
      return new HttpStatusOrigin(service.status);
    case 'hello-world':
      return openHelloWorldOrigin(tags);
  }
}

async function openHelloWorldOrigin(tags: HeaderList): Promise<Origin> {
  const server = await openHelloWorld();
  const text = `http://127.0.0.1:${server.port}`;
  const service = { kind: 'http', text, scheme: 'http', hostname: '127.0.0.1', port: server.port } as const;
  const inner = await openHttpOrigin({ service, originRequest: originRequestDefaults, tags });
  return new HelloWorldOrigin(inner, server);
}

class HelloWorldOrigin implements Origin {
  readonly #inner: HttpOrigin;
  readonly #server: HelloWorldServer;

  constructor(inner: HttpOrigin, server: HelloWorldServer) {
    this.#inner = inner;
    this.#server = server;
  }

  serve(exchange: Exchange): void {
    this.#inner.serve(exchange);
  }

  async close(): Promise<void> {
    await this.#inner.close();
    await this.#server.close();
  }
}
