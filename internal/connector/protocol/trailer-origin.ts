// Which rules may lead to gRPC: its statuses are trailers, and a stock edge carries none over QUIC
// (docs/limits.md). Such a tunnel stays on HTTP/2 where the protocol is chosen automatically.

import type { IngressConfig, IngressRule } from '../../schema/ingress-rule.ts';

/** The first rule whose origin is spoken to over HTTP/2, as gRPC needs. */
export function findTrailerOrigin(config: IngressConfig): IngressRule | undefined {
  return config.rules.find(({ service, originRequest }) => {
    if (service.kind === 'http')
      return service.scheme === 'h2c' || (service.scheme === 'https' && originRequest.http2Origin);
    return service.kind === 'unix' && service.tls && originRequest.http2Origin;
  });
}
