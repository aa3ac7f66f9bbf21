// Two QUIC endpoints of ours over real UDP sockets on loopback, for tests of the engine and of what stands on it.

import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { ConnectionEnding, ConnectionHandler, QuicConnection } from '../../internal/quic/connection.ts';
import { QuicDuplex } from '../../internal/quic/duplex.ts';
import { openEndpoint, type QuicEndpoint } from '../../internal/quic/endpoint.ts';
import type { Tuning } from '../../internal/quic/settings.ts';
import type { QuicStream } from '../../internal/quic/stream.ts';
import { createTestCa, type TestCa, type TestCertificate } from './test-ca.ts';

export const quicName = 'quic.cftunnel.com';

/** A test's promise with its resolver. */
export class Later<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => undefined;

  constructor() {
    this.promise = new Promise(resolve => {
      this.resolve = resolve;
    });
  }
}

/** A handler that collects what comes, as promises and lists. */
export class Collector implements ConnectionHandler {
  readonly streams: QuicStream[] = [];
  readonly datagrams: Buffer[] = [];
  readonly closed = new Later<ConnectionEnding>();
  /** Replaces collecting. */
  stream: ((stream: QuicStream) => void) | undefined;
  datagram: ((datagram: Uint8Array) => void) | undefined;
  readonly #streamWaiters: ((stream: QuicStream) => void)[] = [];

  onStream(stream: QuicStream): void {
    if (this.stream !== undefined) this.stream(stream);
    else {
      const waiter = this.#streamWaiters.shift();
      if (waiter === undefined) this.streams.push(stream);
      else waiter(stream);
    }
  }

  onDatagram(datagram: Uint8Array): void {
    if (this.datagram === undefined) this.datagrams.push(Buffer.from(datagram));
    else this.datagram(datagram);
  }

  onClosed(ending: ConnectionEnding): void {
    this.closed.resolve(ending);
  }

  /** The next stream that the peer opened. */
  next(): Promise<QuicStream> {
    const stream = this.streams.shift();
    if (stream !== undefined) return Promise.resolve(stream);
    return new Promise(resolve => this.#streamWaiters.push(resolve));
  }

  async nextDuplex(): Promise<QuicDuplex> {
    return quiet(new QuicDuplex(await this.next(), { onStop: 'reset' }));
  }
}

let made: Promise<{ ca: TestCa; identity: TestCertificate }> | undefined;

/** A CA and a certificate for `quicName`, made once a process. */
export function quicIdentity(): Promise<{ ca: TestCa; identity: TestCertificate }> {
  made ??= (async () => {
    const ca = await createTestCa('QUIC test CA');
    return { ca, identity: await ca.issue([quicName]) };
  })();
  return made;
}

export interface QuicPairOptions {
  readonly server?: Partial<Tuning>;
  readonly client?: Partial<Tuning>;
  /** Where the client dials instead of the server itself, given the server's port. */
  readonly through?: (serverPort: number) => Promise<number>;
}

export interface QuicPair {
  readonly serverEndpoint: QuicEndpoint;
  readonly clientEndpoint: QuicEndpoint;
  readonly server: QuicConnection;
  readonly client: QuicConnection;
  readonly atServer: Collector;
  readonly atClient: Collector;
}

export function portOf(endpoint: QuicEndpoint): number {
  return Number(endpoint.address.slice(endpoint.address.lastIndexOf(':') + 1));
}

/** Endpoints without a connection; closed with the test. */
export async function openQuicEndpoints(
  test: TestContext,
  options: QuicPairOptions = {},
  accept: (connection: QuicConnection) => void = () => undefined,
): Promise<{ serverEndpoint: QuicEndpoint; clientEndpoint: QuicEndpoint }> {
  const { ca, identity } = await quicIdentity();
  const serverEndpoint = openEndpoint(
    { bind: '127.0.0.1:0', alpn: ['argotunnel'], identity, tuning: options.server ?? {} },
    accept,
  );
  test.after(() => serverEndpoint.close());
  const clientEndpoint = openEndpoint({
    bind: '127.0.0.1:0',
    alpn: ['argotunnel'],
    roots: [ca.cert],
    tuning: options.client ?? {},
  });
  test.after(() => clientEndpoint.close());
  return { serverEndpoint, clientEndpoint };
}

/** A connected pair; everything is closed with the test. */
export async function openQuicPair(test: TestContext, options: QuicPairOptions = {}): Promise<QuicPair> {
  const accepted = new Later<QuicConnection>();
  const { serverEndpoint, clientEndpoint } = await openQuicEndpoints(test, options, accepted.resolve);
  const serverPort = portOf(serverEndpoint);
  const client = await clientEndpoint.connect({
    address: '127.0.0.1',
    port: (await options.through?.(serverPort)) ?? serverPort,
    serverName: quicName,
    timeoutMs: 10_000,
  });
  const server = await accepted.promise;
  const [atServer, atClient] = [new Collector(), new Collector()];
  server.serve(atServer);
  client.serve(atClient);
  return { serverEndpoint, clientEndpoint, server, client, atServer, atClient };
}

export function duplexOf(connection: QuicConnection): QuicDuplex {
  return quiet(new QuicDuplex(connection.openStream(), { onStop: 'reset' }));
}

/** Streams that a test leaves open fail when its connection closes; who waits for one sees the error all the same. */
export function quiet(stream: QuicDuplex): QuicDuplex {
  return stream.on('error', () => undefined);
}

/** Everything up to the end; unlike Node's consumers it leaves the writable side open. */
export async function readAll(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  await once(stream, 'end');
  return Buffer.concat(parts);
}
