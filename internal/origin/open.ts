// The chooser: from a validated ingress rule to the origin that serves it. Source: docs/protocol/ingress-and-origin.md
// §3.

import type { HeaderList } from '../net/http/header-list.ts';
import type { IngressRule } from '../schema/ingress-rule.ts';
import { originRequestDefaults } from '../schema/origin-request.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { AllowAddress, DialCare } from './dial/dial.ts';
import type { OutboundProxySettings } from './dial/outbound-proxy.ts';
import type { Exchange, Origin } from './exchange/exchange.ts';
import { type HttpOrigin, openHttpOrigin } from './http/http.ts';
import { type HelloWorldServer, openHelloWorld } from './services/hello-world.ts';
import { HttpStatusOrigin } from './services/http-status.ts';
import { SocksProxyOrigin } from './services/socks-proxy.ts';
import { TcpOrigin } from './services/tcp.ts';

export interface OpenOriginOptions {
  readonly rule: IngressRule;
  /** `Cf-Warp-Tag-*` headers for HTTP-type origins. */
  readonly tags: HeaderList;
  readonly log: Logger;
  /** Forward proxies of the service's environment (HTTP_PROXY and its siblings), for URL services. */
  readonly proxy?: OutboundProxySettings | undefined;
  /** Asked about destinations that a visitor names: bastion and socks-proxy. */
  readonly allowNamed?: AllowAddress | undefined;
  /** Told of every connection made: how long that took, in milliseconds. */
  readonly onConnected?: DialCare['onConnected'];
}

/** Opens the origin of a rule; the caller closes it. Throws 'config.invalid', e.g. for an unreadable caPool. */
export async function openOrigin({
  rule,
  tags,
  log,
  proxy,
  allowNamed,
  onConnected,
}: OpenOriginOptions): Promise<Origin> {
  const { service, originRequest } = rule;
  switch (service.kind) {
    case 'http':
    case 'unix':
      return openHttpOrigin({ service, originRequest, tags, proxy, onConnected });
    case 'tcp':
      return new TcpOrigin(service, originRequest, { onConnected });
    case 'bastion':
      return new TcpOrigin(service, originRequest, { allow: allowNamed, onConnected });
    case 'socks-proxy':
      return new SocksProxyOrigin(originRequest, log, { allow: allowNamed, onConnected });
    case 'status':
      return new HttpStatusOrigin(service.status);
    case 'hello-world':
      return openHelloWorldOrigin(tags, onConnected);
  }
}

async function openHelloWorldOrigin(tags: HeaderList, onConnected: DialCare['onConnected']): Promise<Origin> {
  const server = await openHelloWorld();
  const text = `http://127.0.0.1:${server.port}`;
  const service = { kind: 'http', text, scheme: 'http', hostname: '127.0.0.1', port: server.port } as const;
  const inner = await openHttpOrigin({ service, originRequest: originRequestDefaults, tags, onConnected });
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
