// The edge's listeners, one a transport, on one port number: the one place at the edge that knows which variants exist.
// Source: docs/protocol/edge-protocol.md §13.1 (same number for TCP and UDP).

import type { TLSSocket } from 'node:tls';
import { isPosternError, type PosternError } from '../../errors/error.ts';
import type { ReceiveBuffer } from '../../net/linux/receive-buffer.ts';
import { acceptHttp2, listenHttp2 } from '../http2/listen.ts';
import { listenQuic, type QuicListener } from '../quic/listen.ts';
import type { QuicTuning } from '../quic/settings.ts';
import type { EdgeConnection } from '../transport.ts';

export interface ListenTransportsOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** PEM; the certificate carries its chain. */
  readonly certificates: { readonly key: string; readonly cert: string };
  /** Called for every connection; it is the callee's to close. */
  readonly onConnection: (connection: EdgeConnection) => void;
  /** Told once when QUIC does not exist on this platform; HTTP/2 serves alone then. */
  readonly onQuicUnavailable: (error: PosternError) => void;
  /** Told of the kernel's receive buffer of QUIC's socket, once. */
  readonly onReceiveBuffer?: (buffer: ReceiveBuffer) => void;
  /** Beside `edgeTuning`. */
  readonly quicTuning?: QuicTuning | undefined;
}

export interface TransportListeners {
  readonly port: number;
  readonly protocols: readonly ('http2' | 'quic')[];
  /** Use other certificates for connections from now on. Throws 'tls.failed' when they cannot be used. */
  setCertificates(certificates: { readonly key: string; readonly cert: string }): void;
  /** Takes a connector that came to another listener, after its TLS handshake; closed once this one has stopped accepting. */
  accept(socket: TLSSocket): void;
  /** Stop accepting. Accepted connections live on. Idempotent. */
  close(): Promise<void>;
}

/** Ports tried when any will do: a free TCP port may be taken for UDP. */
const maxPortAttempts = 5;

/** Listens for connectors over TCP and UDP. Throws 'listen.failed' or 'tls.failed'. */
export async function listenTransports(options: ListenTransportsOptions): Promise<TransportListeners> {
  const { host, certificates, onConnection } = options;
  for (let attempt = 1; ; attempt += 1) {
    const http2 = await listenHttp2({ host, port: options.port, ...certificates, onConnection });
    const { port } = http2.address;
    let quic: QuicListener | undefined;
    try {
      quic = listenQuic({ host, port, ...certificates, onConnection, tuning: options.quicTuning ?? {} });
    } catch (error) {
      if (!isPosternError(error, 'unavailable')) {
        await http2.close();
        if (options.port === 0 && isPosternError(error, 'listen.failed') && attempt < maxPortAttempts) continue;
        throw error;
      }
      options.onQuicUnavailable(error);
    }
    if (quic?.receiveBuffer !== undefined) options.onReceiveBuffer?.(quic.receiveBuffer);
    let isClosed = false;
    return {
      port,
      accept: socket => {
        if (isClosed) socket.destroy();
        else acceptHttp2(socket, onConnection);
      },
      protocols: quic === undefined ? ['http2'] : ['http2', 'quic'],
      setCertificates: renewed => {
        http2.setCertificates(renewed);
        quic?.setCertificates(renewed);
      },
      close: async () => {
        isClosed = true;
        await Promise.all([http2.close(), quic?.close()]);
      },
    };
  }
}
