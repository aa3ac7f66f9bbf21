// Names the transport variants: the one place that knows which exist. Source: the seam's rules in transport.ts.

import { PosternError } from '../errors/error.ts';
import { dialHttp2 } from './http2/dial.ts';
import { dialQuic } from './quic/dial.ts';
import type { ConnectorConnection, DialOptions, Protocol } from './transport.ts';

/** Dials an edge. Throws 'dial.failed', 'dial.timeout', 'tls.failed', or 'unavailable' for a protocol that is not built in. */
export async function dialTransport(protocol: Protocol, options: DialOptions): Promise<ConnectorConnection> {
  switch (protocol) {
    case 'http2':
      return dialHttp2(options);
    case 'quic':
      return dialQuic(options);
    case 'memory':
      throw new PosternError(
        'unavailable',
        `The protocol ${protocol} cannot be dialled by this build; use --protocol http2`,
      );
  }
}
