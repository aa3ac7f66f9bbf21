// The edge's listeners, one a transport, on one port number: the one place at the edge that knows which variants exist.
// Source: spec edge-protocol §13.1 (same number for TCP and UDP).

import { listenHttp2 } from './http2/listen.ts';
import type { EdgeConnection } from './transport.ts';

export interface ListenTransportsOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** PEM; the certificate carries its chain. */
  readonly certificates: { readonly key: string; readonly cert: string };
  /** Called for every connection; it is the callee's to close. */
  readonly onConnection: (connection: EdgeConnection) => void;
}

export interface TransportListeners {
  readonly port: number;
  /** Use other certificates for connections from now on. */
  setCertificates(certificates: { readonly key: string; readonly cert: string }): void;
  /** Stop accepting. Accepted connections live on. Idempotent. */
  close(): Promise<void>;
}

/** Listens for connectors. Throws 'listen.failed'. */
export async function listenTransports(options: ListenTransportsOptions): Promise<TransportListeners> {
  const { host, certificates, onConnection } = options;
  const http2 = await listenHttp2({ host, port: options.port, ...certificates, onConnection });
  return {
    port: http2.address.port,
    setCertificates: renewed => http2.setCertificates(renewed),
    close: () => http2.close(),
  };
}
