// Names the transport variants: the one place that knows which exist. Source: the seam's rules in transport.ts. A variant
// is loaded by its first dial: a connector that stays on QUIC never loads Node's HTTP/2, which takes 10 MiB.

import type { ConnectorConnection, DialOptions, Protocol } from '../transport.ts';

/** Dials an edge. Throws 'dial.failed', 'dial.timeout', 'tls.failed', or 'unavailable' where there is no QUIC engine. */
export async function dialTransport(protocol: Protocol, options: DialOptions): Promise<ConnectorConnection> {
  switch (protocol) {
    case 'http2':
      return (await import('../http2/dial.ts')).dialHttp2(options);
    case 'quic':
      return (await import('../quic/dial.ts')).dialQuic(options);
  }
}
