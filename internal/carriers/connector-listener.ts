// Where connectors dial in: accepts their connections, serves each, and ends them in order when the edge stops.
// Source: docs/protocol/edge-protocol.md §9.5 (the end of a connection), §13.2.

import type { TLSSocket } from 'node:tls';
import { describeError, PosternError } from '../errors/error.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import { AddressLimiter, type AddressLimits } from '../net/limits/address-limiter.ts';
import { narrowBufferWatch } from '../net/linux/receive-buffer.ts';
import { listenTransports } from '../transport/open/listen.ts';
import type { QuicTuning } from '../transport/quic/settings.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import { features } from '../wire/features.ts';
import { type ServeConnectorOptions, serveConnector, unregisteredLimits } from './serve-connector.ts';

export interface ConnectorListenerOptions extends Omit<ServeConnectorOptions, 'isDraining' | 'unregistered'> {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** PEM, read anew when `onRenewed` calls its listener; the result of `onRenewed` stops that. */
  readonly certificates: {
    readonly tls: { readonly key: string; readonly cert: string };
    onRenewed(listener: () => void): () => void;
  };
  /** Connections that have not registered yet. Default: `unregisteredLimits`. */
  readonly unregistered?: AddressLimits | undefined;
  /** Beside `edgeTuning`. */
  readonly quicTuning?: QuicTuning | undefined;
}

export interface ConnectorListener extends AsyncDisposable {
  readonly port: number;
  /** Takes a connector that came to the visitors' port, after its TLS handshake. */
  accept(socket: TLSSocket): void;
  /** `host:port` by which connectors reach it when `name` leads here. */
  addressOf(name: string): string;
  /** First of three steps of stopping: accepts no more connections and no registrations. */
  refuse(): Promise<void>;
  /** Second: tells connectors that can bear it, so that they register elsewhere while what runs here finishes. */
  sayGoodbye(): void;
  /** Third: settles when every connection has ended its streams, at the latest after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** Listens over QUIC and HTTP/2. Disposal ends all connections at once. Throws 'listen.failed'. */
export async function openConnectorListener(options: ConnectorListenerOptions): Promise<ConnectorListener> {
  const { certificates, host, logger, port, registry } = options;
  const connections = new Set<EdgeConnection>();
  const unregistered = new AddressLimiter(options.unregistered ?? unregisteredLimits);
  let isDraining = false;
  const serving = { ...options, unregistered, isDraining: () => isDraining };
  const listener = await listenTransports({
    host,
    port,
    certificates: certificates.tls,
    quicTuning: options.quicTuning,
    onQuicUnavailable: error => logger.warn({ error: describeError(error) }, 'Connectors can use HTTP/2 only'),
    onReceiveBuffer: narrowBufferWatch(warning => logger.warn(warning)),
    onConnection: connection => {
      connections.add(connection);
      void connection.closed.then(() => connections.delete(connection));
      serveConnector(connection, serving);
    },
  });
  const stopRenewal = certificates.onRenewed(() => listener.setCertificates(certificates.tls));
  return {
    port: listener.port,
    accept: socket => listener.accept(socket),
    addressOf: name => formatHostPort(name, listener.port),
    refuse: () => {
      isDraining = true;
      return listener.close();
    },
    /*
     * HTTP/2 has GOAWAY, which draining sends. QUIC has no such frame: our own connectors take the end of the control
     * stream for it, where stock ones would give the connection up with all that runs; those learn it last.
     */
    sayGoodbye: () => {
      for (const { connection, features: advertised } of registry.all())
        if (connection.protocol === 'quic' && advertised.includes(features.controlEndsFirst)) connection.control.end();
    },
    drain: async timeoutMs => {
      await Promise.all([...connections].map(connection => connection.drain(timeoutMs)));
    },
    [Symbol.asyncDispose]: async () => {
      stopRenewal();
      await listener.close();
      const ended = [...connections].map(connection => connection.closed);
      for (const connection of connections)
        connection.abort(new PosternError('connection.closed', 'The edge was stopped.'));
      await Promise.all(ended);
    },
  };
}
