// An edge at the connector's two seams, dial and registration, without sockets: a test scripts what each dial and each
// registration answers, and ends connections when it likes. For tests of states and times.

import { PassThrough } from 'node:stream';
import type { RegistrationSession } from '../../internal/connector/loop/registration.ts';
import { PosternError } from '../../internal/errors/error.ts';
import type {
  ConnectionEnd,
  ConnectorConnection,
  ConnectorHandler,
  DialOptions,
  Protocol,
} from '../../internal/transport/transport.ts';
import type { ConnectionDetails, RegistrationRequest } from '../../internal/wire/rpc/registration.ts';

export class FakeConnection implements ConnectorConnection {
  readonly protocol: Protocol;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly datagrams = undefined;
  readonly openRpc = undefined;
  readonly control = Promise.resolve(new PassThrough());
  readonly goingAway: Promise<void>;
  readonly closed: Promise<ConnectionEnd>;
  readonly host: string;
  openStreams = 0;
  drained = false;
  aborted: PosternError | undefined;
  handler: ConnectorHandler | undefined;
  /** Settled by the test; pings wait for it. */
  pong: () => Promise<number> = () => Promise.resolve(1);
  readonly #closed = Promise.withResolvers<ConnectionEnd>();
  readonly #goingAway = Promise.withResolvers<void>();
  #idle: (() => void) | undefined;

  constructor(protocol: Protocol, options: DialOptions, localAddress: string) {
    this.protocol = protocol;
    this.host = options.host;
    this.localAddress = localAddress;
    this.remoteAddress = `${options.host}:${options.port}`;
    this.closed = this.#closed.promise;
    this.goingAway = this.#goingAway.promise;
  }

  serve(handler: ConnectorHandler): void {
    this.handler = handler;
  }

  ping(_timeoutMs: number): Promise<number> {
    return this.pong();
  }

  stats(): { protocol: Protocol; openStreams: number } {
    return { protocol: this.protocol, openStreams: this.openStreams };
  }

  async drain(): Promise<void> {
    this.drained = true;
    if (this.openStreams > 0 && this.aborted === undefined) {
      await new Promise<void>(resolve => {
        this.#idle = resolve;
      });
    }
    this.#closed.resolve({ orderly: true });
  }

  abort(reason: PosternError): void {
    this.aborted ??= reason;
    this.#idle?.();
    this.#closed.resolve({ orderly: false, error: reason });
  }

  /** The edge vanishes. */
  lose(): void {
    this.abort(new PosternError('connection.lost', 'lost'));
  }

  /** The edge announces that it opens no more streams. */
  goAway(): void {
    this.#goingAway.resolve();
  }

  finishStreams(): void {
    this.openStreams = 0;
    this.#idle?.();
  }
}

type DialScript = (options: DialOptions, protocol: Protocol) => FakeConnection | Promise<FakeConnection>;
type RegistrationScript = (request: RegistrationRequest) => Promise<ConnectionDetails>;

export class FakeEdge {
  readonly dials: DialOptions[] = [];
  readonly connections: FakeConnection[] = [];
  readonly requests: RegistrationRequest[] = [];
  readonly pushed: string[] = [];
  unregistered = 0;
  localAddress = '192.0.2.10';
  remotelyManaged = false;
  /** What a dial does; default: connects. */
  onDial: DialScript | undefined;
  /** What a registration answers; default: accepted. */
  onRegister: RegistrationScript | undefined;

  readonly dial = async (protocol: Protocol, options: DialOptions): Promise<ConnectorConnection> => {
    this.dials.push(options);
    const connection =
      this.onDial === undefined ? this.connect(protocol, options) : await this.onDial(options, protocol);
    this.connections.push(connection);
    return connection;
  };

  connect(protocol: Protocol, options: DialOptions): FakeConnection {
    return new FakeConnection(protocol, options, this.localAddress);
  }

  readonly openRegistration = (): RegistrationSession => {
    const closed = Promise.withResolvers<void>();
    return {
      registerConnection: request => {
        this.requests.push(request);
        return this.onRegister === undefined ? Promise.resolve(this.details(request)) : this.onRegister(request);
      },
      updateLocalConfiguration: async json => {
        this.pushed.push(Buffer.from(json).toString('utf8'));
      },
      unregisterConnection: async () => {
        this.unregistered += 1;
      },
      closed: closed.promise,
      close: () => closed.resolve(),
    };
  };

  details(request: RegistrationRequest): ConnectionDetails {
    const uuid = `00000000-0000-4000-8000-${String(request.connIndex).padStart(12, '0')}`;
    return { uuid, locationName: 'tst01', tunnelIsRemotelyManaged: this.remotelyManaged };
  }

  /** Connections that still live. */
  get live(): readonly FakeConnection[] {
    return this.connections.filter(connection => connection.aborted === undefined && !connection.drained);
  }
}
