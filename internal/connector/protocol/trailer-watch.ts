// Keeps connections on HTTP/2 while an origin needs trailers and the edge may not carry them over QUIC (docs/limits.md).

import type { IngressConfig } from '../../schema/ingress-rule.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { findTrailerOrigin } from './trailer-origin.ts';

/**
 * Tells whether an origin needs what the edge does only over HTTP/2, and warns of it once. An edge that the credentials pin
 * is one of ours, and carries trailers over QUIC too.
 */
export function createTrailerWatch(
  caPin: string | undefined,
  config: () => IngressConfig | undefined,
  logger: Logger,
): () => boolean {
  let warned = false;
  return () => {
    const current = config();
    if (caPin !== undefined || current === undefined) return false;
    const rule = findTrailerOrigin(current);
    if (rule === undefined) return false;
    if (!warned) {
      const fields = { ingressRule: rule.index, originService: rule.service.text };
      logger.warn(
        fields,
        'Connections stay on HTTP/2: gRPC needs trailers, which this edge may not carry over QUIC. Set --protocol quic to use QUIC all the same',
      );
    }
    warned = true;
    return true;
  };
}
