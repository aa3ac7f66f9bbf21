// A Proxy for tests: rules from short descriptions, and a log that is kept. Real origins are given by the test.

import { createMatcher } from '../../internal/ingress/match.ts';
import { OriginProxy, type ProxyOptions } from '../../internal/proxy/proxy.ts';
import type { IngressConfig } from '../../internal/schema/ingress-rule.ts';
import { type OriginRequest, originRequestDefaults } from '../../internal/schema/origin-request.ts';
import type { Service } from '../../internal/schema/service.ts';
import { createLogger, type Logger } from '../../internal/telemetry/logger.ts';
import type { RequestHead } from '../../internal/transport/transport.ts';
import { TestIncoming } from './incoming.ts';

export interface RuleInput {
  readonly service: Service;
  readonly hostname?: string;
  readonly originRequest?: Partial<OriginRequest>;
}

export function httpService(port: number, scheme: 'http' | 'https' | 'h2c' = 'http', hostname = '127.0.0.1'): Service {
  return { kind: 'http', text: `${scheme}://${hostname}:${port}`, scheme, hostname, port };
}

export function unixService(path: string, tls = false): Service {
  return { kind: 'unix', text: `unix${tls ? '+tls' : ''}:${path}`, path, tls };
}

export function createConfig(rules: readonly RuleInput[], maxActiveFlows = 0): IngressConfig {
  return {
    rules: rules.map((rule, index) => ({
      index,
      hostname: rule.hostname ?? '',
      path: '',
      service: rule.service,
      originRequest: { ...originRequestDefaults, ...rule.originRequest },
    })),
    warpRouting: { connectTimeoutMs: 5000, tcpKeepAliveMs: 30_000, maxActiveFlows },
  };
}

export type TestProxyOptions = Partial<ProxyOptions>;

/** A proxy with its log lines as objects. */
export class TestProxy {
  readonly lines: Record<string, unknown>[] = [];
  readonly proxy: OriginProxy;
  readonly log: Logger;

  constructor(options: TestProxyOptions = {}) {
    this.log = createLogger({
      level: 'debug',
      format: 'json',
      destination: { write: line => void this.lines.push(JSON.parse(line) as Record<string, unknown>) },
    });
    this.proxy = new OriginProxy({
      log: this.log,
      connectorId: '11111111-2222-3333-4444-555555555555',
      tags: {},
      createMatcher,
      ...options,
    });
  }

  request(head: Partial<RequestHead> = {}, highWaterMark?: number): TestIncoming {
    const incoming = new TestIncoming(head, highWaterMark);
    this.proxy.stream(incoming);
    return incoming;
  }

  close(): Promise<void> {
    return this.proxy.close();
  }
}

/** A proxy with one rule for everything. */
export async function proxyTo(
  service: Service,
  originRequest: Partial<OriginRequest> = {},
  options: TestProxyOptions = {},
): Promise<TestProxy> {
  const test = new TestProxy(options);
  await test.proxy.swap(createConfig([{ service, originRequest }]));
  return test;
}
