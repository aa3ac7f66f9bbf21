// A small edge for tests of the connector: real HTTP/2 or QUIC, real registration, no routing. The test decides who may
// register and what is asked of whom.

import { randomUUID } from 'node:crypto';
import { PosternError } from '../../internal/errors/error.ts';
import { serveRegistration } from '../../internal/rpc/registration-server.ts';
import { listenHttp2 } from '../../internal/transport/http2/listen.ts';
import { listenQuic } from '../../internal/transport/quic/listen.ts';
import type { EdgeConnection, EdgeListener, RequestHead } from '../../internal/transport/transport.ts';
import type { RegistrationRequest, RegistrationResult } from '../../internal/wire/rpc/registration.ts';
import { createTestCa, type TestCa } from './test-ca.ts';

export interface Registered {
  readonly request: RegistrationRequest;
  readonly connection: EdgeConnection;
  /** The connector has unregistered it. */
  unregistered: boolean;
}

export interface SmallEdgeOptions {
  readonly port?: number;
  readonly ca?: TestCa;
  /** HTTP/2 by default. */
  readonly protocol?: 'http2' | 'quic';
}

export class SmallEdge {
  readonly ca: TestCa;
  readonly port: number;
  /** Live registrations in the order they came. */
  readonly registered: Registered[] = [];
  /** Local configurations that were pushed, JSON text. */
  readonly localConfigurations: string[] = [];
  /** Every registration tried. */
  readonly attempts: RegistrationRequest[] = [];
  /** Refuses a registration by returning a result; undefined accepts. */
  judge: (request: RegistrationRequest) => RegistrationResult | undefined = () => undefined;
  remotelyManaged = false;
  /** Told of each registration before it is answered. */
  onRegistered: (entry: Registered) => void = () => undefined;
  /** Connections that were accepted and have not closed yet, registered or not. */
  open = 0;
  /** What happens after a connector unregistered: drain as a good edge does, or nothing. */
  drainsOnUnregister = true;
  readonly #listener: EdgeListener;

  private constructor(ca: TestCa, listener: EdgeListener) {
    this.ca = ca;
    this.#listener = listener;
    this.port = listener.address.port;
  }

  static async open(options: SmallEdgeOptions = {}): Promise<SmallEdge> {
    const ca = options.ca ?? (await createTestCa('Small edge CA'));
    const { cert, key } = await ca.issue(['h2.cftunnel.com', 'quic.cftunnel.com']);
    const opened = Promise.withResolvers<SmallEdge>();
    const listening = {
      ...{ host: '127.0.0.1', port: options.port ?? 0, cert, key },
      onConnection: (connection: EdgeConnection) => void opened.promise.then(edge => edge.#accept(connection)),
    };
    const listener = options.protocol === 'quic' ? listenQuic(listening) : await listenHttp2(listening);
    const edge = new SmallEdge(ca, listener);
    opened.resolve(edge);
    return edge;
  }

  /** Sorted indexes of live registrations. */
  get indexes(): readonly number[] {
    return this.registered.map(entry => entry.request.connIndex).sort((a, b) => a - b);
  }

  connection(connIndex: number): EdgeConnection {
    const found = this.registered.find(entry => entry.request.connIndex === connIndex);
    if (found === undefined) throw new Error(`connection ${connIndex} is not registered`);
    return found.connection;
  }

  /** Sends a request down the given connection and reads the whole answer. */
  async request(connIndex: number, head: Partial<RequestHead> & { body?: string } = {}) {
    const { body, ...rest } = head;
    const length = body === undefined ? 0 : Buffer.byteLength(body);
    const stream = this.connection(connIndex).request({
      kind: 'http',
      method: 'GET',
      scheme: 'https',
      host: 'app.example.com',
      path: '/',
      headers: [],
      bodyLength: length,
      ...rest,
    });
    if (body !== undefined) stream.body.end(body);
    const response = await stream.response;
    const chunks: Buffer[] = [];
    stream.body.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise(resolve => stream.body.once('close', resolve));
    return { status: response.status, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') };
  }

  /** Stops accepting and drains every connection, as an edge that is being restarted. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#listener.close();
    await Promise.all(this.registered.map(entry => entry.connection.drain(timeoutMs)));
  }

  /** Vanishes: listener and connections end at once. */
  async close(): Promise<void> {
    await this.#listener.close();
    for (const { connection } of [...this.registered])
      connection.abort(new PosternError('connection.closed', 'test edge ends'));
    await Promise.all(this.registered.map(entry => entry.connection.closed));
  }

  #accept(connection: EdgeConnection): void {
    let entry: Registered | undefined;
    this.open += 1;
    void connection.closed.then(() => {
      this.open -= 1;
      if (entry !== undefined) this.registered.splice(this.registered.indexOf(entry), 1);
    });
    const session = serveRegistration(connection.control, {
      register: async request => {
        this.attempts.push(request);
        const refusal = this.judge(request);
        if (refusal !== undefined) {
          // As docs/protocol/edge-protocol.md §11 wants: the edge closes after it has answered.
          setImmediate(() => void connection.drain(1_000));
          return refusal;
        }
        entry = { request, connection, unregistered: false };
        this.registered.push(entry);
        this.onRegistered(entry);
        return {
          details: { uuid: randomUUID(), locationName: 'tst01', tunnelIsRemotelyManaged: this.remotelyManaged },
        };
      },
      updateLocalConfiguration: async config => {
        this.localConfigurations.push(Buffer.from(config).toString('utf8'));
      },
      unregister: async () => {
        if (entry !== undefined) entry.unregistered = true;
        if (this.drainsOnUnregister) setImmediate(() => void connection.drain(60_000));
      },
    });
    void session.closed;
  }
}

/** A refusal as edges word it. */
export function refusal(cause: string, shouldRetry = false): RegistrationResult {
  return { error: { cause, shouldRetry, retryAfterMs: 0 } };
}
