// One connection of a connector for the connector's whole life: dial, register, serve, wait, again. States are drawn in
// connection-state.ts. Source: spec edge-protocol §4.2–4.4, §8.3, §11; where it differs, the reason is beside it.

import { EventEmitter } from 'node:events';
import { BackOff } from '../discovery/back-off.ts';
import type { EdgeAddress } from '../discovery/edge-address.ts';
import { describeError, isPosternError, PosternError } from '../errors/error.ts';
import { formatDuration } from '../schema/duration.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ConnectorConnection, Protocol } from '../transport/transport.ts';
import type { ConnectionDetails } from '../wire/registration.ts';
import type { ConnectionState } from './connection-state.ts';
import type { ConnectionInfo } from './connector-events.ts';
import { abortable, stoppedError, withDeadline } from './deadline.ts';
import { drainConnection } from './drain.ts';
import { dialEdge } from './edge-dial.ts';
import type { LoopContext, LoopEvents } from './loop-context.ts';
import { PeerWatch } from './peer-watch.ts';
import { raceDial } from './race-dial.ts';
import { encodeLocalIp, type RegistrationSession } from './registration.ts';

/** How an attempt ended: without an error when the edge drained it, `registered` when it had served. */
interface AttemptEnd {
  readonly error: unknown;
  readonly registered: boolean;
}

/** The edge must open the control stream within this time of the dial; the spec allows 10 s for the preface. */
const controlTimeoutMs = 15_000;
const noControl = `The edge did not open the control stream within ${controlTimeoutMs} ms`;
/** After the control stream ended, how long the rest of the connection may take to show whether it is lost as well. */
const closingMs = 100;
/** A connection that lasted this long was good: its next failure starts the back-off anew. */
const stableMs = 10_000;
/** Wait after the edge called credentials invalid that it had accepted before: a deleted tunnel, or an edge in trouble. */
const refusedWaitMs = 60_000;
const refusedJitterMs = 60_000;
/** Refusals of a first registration before giving up. Fresh tunnels take seconds to be known everywhere on large edges. */
const refusalsBeforeFatal = 3;

export class ConnectionLoop extends EventEmitter<LoopEvents> {
  readonly connIndex: number;
  readonly #context: LoopContext;
  readonly #backOff: BackOff;
  readonly #stop = Promise.withResolvers<void>();
  readonly #lingering = new Set<Promise<void>>();
  readonly #live = new Set<ConnectorConnection>();
  #state: ConnectionState = { kind: 'idle' };
  #done: Promise<void> | undefined;
  #stopping = false;
  #graceMs: number;
  #rotate = false;
  #refusals = 0;
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #skipWait = false;

  constructor(connIndex: number, context: LoopContext) {
    super();
    this.connIndex = connIndex;
    this.#context = context;
    this.#graceMs = context.gracePeriodMs;
    this.#backOff = new BackOff({
      baseMs: 1_000,
      maxRetries: context.maxRetries,
      random: context.random,
      nowMs: () => context.clock.monotonicMs(),
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Begins; call once. Settles when stopped, never rejects. */
  run(): Promise<void> {
    this.#done ??= this.#run();
    return this.#done;
  }

  /**
   * Ends in order: unregisters and lets running requests finish within `graceMs`, then closes. Whatever is not registered
   * is given up at once. `run` settles when done.
   */
  drain(graceMs: number): void {
    this.#stopping = true;
    this.#graceMs = graceMs;
    this.#stop.resolve();
    this.#interrupt();
  }

  /** Ends now; running requests are cut. */
  abort(): void {
    this.drain(0);
    for (const connection of this.#live) connection.abort(stoppedError());
  }

  /**
   * The machine woke or moved: dial at once if not connected, and see whether a connection still lives. `addresses` are
   * those the machine has now; a connection from another one is gone.
   */
  recheck(addresses: readonly string[]): void {
    const state = this.#state;
    if (state.kind === 'connected') {
      state.watch.check(addresses);
      return;
    }
    if (state.kind !== 'waiting' && state.kind !== 'dialling') return;
    this.#backOff.reset();
    this.#skipWait = state.kind === 'dialling';
    this.#interrupt();
  }

  /** Another connection reached the edge: what keeps this one waiting, if only that, is over. */
  hurry(): void {
    if (this.#state.kind !== 'waiting' || !this.#state.unreachable) return;
    this.#context.clock.after(this.#stagger(), this.#state.wake);
  }

  /** Dials the address of this connection over `protocol` and registers nothing; the connection is the caller's to close. */
  async dialForTrial(protocol: Protocol): Promise<ConnectorConnection> {
    const address = await this.#context.directory.acquire(this.connIndex, false);
    return dialEdge(this.#context, protocol, { address, trust: await this.#context.trust(), signal: undefined });
  }

  /** If registered over another protocol than `target` and idle: unregisters, closes and dials anew. Whether it does. */
  moveTo(target: Protocol): boolean {
    if (this.#state.kind !== 'connected') return false;
    const { connection, move } = this.#state;
    if (connection.protocol === target || connection.stats().openStreams > 0) return false;
    move();
    return true;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const end = await this.#attempt();
      if (this.#stopping) break;
      const waitMs = this.#judge(end);
      if (waitMs === undefined) break;
      await this.#wait(waitMs, isUnreachable(end.error));
    }
    await Promise.all(this.#lingering);
    this.#context.directory.release(this.connIndex);
    this.#state = { kind: 'stopped' };
  }

  /** One dial with what follows. Never rejects. */
  async #attempt(): Promise<AttemptEnd> {
    const { clock, directory, handle, policy } = this.#context;
    const abort = new AbortController();
    this.#state = { kind: 'dialling', abort };
    const choice = policy.next(this.connIndex);
    let connection: ConnectorConnection | undefined;
    let registered = false;
    try {
      const rotate = this.#rotate;
      this.#rotate = false;
      const address = await abortable(directory.acquire(this.connIndex, rotate), abort.signal);
      const trust = await abortable(this.#context.trust(), abort.signal);
      connection = await raceDial({
        choice,
        dial: (protocol, signal) => dialEdge(this.#context, protocol, { address, trust, signal }),
        onFailed: (protocol, error) => policy.failed(this.connIndex, protocol, error, false),
        signal: abort.signal,
        clock,
      });
      const dialled = connection;
      this.#live.add(dialled);
      dialled.closed.then(
        () => this.#live.delete(dialled),
        () => this.#live.delete(dialled),
      );
      this.#state = { kind: 'registering', address, connection };
      connection.serve(handle(connection));
      const control = await withDeadline(connection.control, controlTimeoutMs, clock, noControl);
      const session = this.#context.openRegistration(control);
      const details = await this.#register(session, connection);
      registered = true;
      policy.registered(this.connIndex, connection.protocol);
      await this.#serve(connection, session, address, details);
      return { error: undefined, registered };
    } catch (error) {
      connection?.abort(error instanceof PosternError ? error : stoppedError());
      if (!this.#stopping) policy.failed(this.connIndex, connection?.protocol ?? choice.first, error, registered);
      return { error, registered };
    }
  }

  #register(session: RegistrationSession, connection: ConnectorConnection): Promise<ConnectionDetails> {
    const { identity } = this.#context;
    return session.registerConnection({
      accountTag: identity.accountTag,
      tunnelSecret: identity.tunnelSecret,
      tunnelId: identity.tunnelId,
      connIndex: this.connIndex,
      clientId: identity.connectorId,
      features: identity.features,
      version: identity.version,
      arch: identity.platform,
      originLocalIp: encodeLocalIp(connection.localAddress),
      replaceExisting: false,
      compressionQuality: 0,
      numPreviousAttempts: Math.min(this.#backOff.retries, 255),
    });
  }

  /** From the registration to the end of service. Rejects when the connection was lost; returns when it ended in order. */
  async #serve(
    connection: ConnectorConnection,
    session: RegistrationSession,
    address: EdgeAddress,
    details: ConnectionDetails,
  ): Promise<void> {
    const info: ConnectionInfo = {
      connIndex: this.connIndex,
      connectionId: details.uuid,
      location: details.locationName,
      protocol: connection.protocol,
      ip: address.ip,
    };
    const watch = new PeerWatch(connection);
    const move = Promise.withResolvers<'move'>();
    this.#state = { kind: 'connected', connection, watch, move: () => move.resolve('move') };
    this.#refusals = 0;
    this.#registeredAtMs = this.#context.clock.monotonicMs();
    this.#backOff.resetAfter(stableMs);
    this.#log(info).info('Registered tunnel connection');
    this.emit('connected', info);
    if (this.connIndex === 0 && !details.tunnelIsRemotelyManaged) this.#pushLocalConfiguration(session);
    const why = await Promise.race([this.#untilEnd(connection, session), move.promise]);
    watch.end();
    if (watch.lost) this.#skipWait = true;
    this.emit('disconnected', info, typeof why === 'string' ? undefined : why);
    if (why === 'stop' || why === 'move') {
      this.#state = { kind: 'draining', connection };
      await this.#drainOne(connection, session, info);
      this.#skipWait = why === 'move';
    } else if (why === 'edge drains') {
      // The control stream ended or the edge said that it goes away, while requests may still run here: they finish, and
      // this connection's place is taken by a new one, at another edge if there is one.
      this.#log(info).info('The edge ends this connection, replacing it');
      this.#rotate = true;
      this.#linger(connection, session);
    } else {
      this.#log(info).warn({ error: describeError(why) }, 'Lost connection with the edge');
      session.close();
      throw why;
    }
  }

  async #untilEnd(
    connection: ConnectorConnection,
    session: RegistrationSession,
  ): Promise<'stop' | 'edge drains' | PosternError> {
    const lost = connection.closed.then(
      end => end.error ?? new PosternError('connection.lost', 'Connection with edge closed'),
    );
    const stop = this.#stop.promise.then(() => 'stop' as const);
    const drains = [session.closed, ...(connection.goingAway === undefined ? [] : [connection.goingAway])];
    const why = await Promise.race([lost, stop, ...drains.map(end => end.then(() => 'edge drains' as const))]);
    if (why !== 'edge drains') return why;
    // A connection that breaks ends its control stream too, sometimes a moment earlier.
    const { promise, resolve } = Promise.withResolvers<'edge drains'>();
    const cancel = this.#context.clock.after(closingMs, () => resolve('edge drains'));
    const really = await Promise.race([lost, promise]);
    cancel();
    return really;
  }

  #pushLocalConfiguration(session: RegistrationSession): void {
    const json = this.#context.localConfiguration();
    if (json === undefined) return;
    session.updateLocalConfiguration(json).then(
      () => this.emit('localConfiguration', true),
      (error: unknown) => {
        this.emit('localConfiguration', false);
        this.#context.logger.warn({ error: describeError(error) }, 'Unable to send local configuration');
      },
    );
  }

  async #drainOne(connection: ConnectorConnection, session: RegistrationSession, info: ConnectionInfo): Promise<void> {
    const { clock } = this.#context;
    await drainConnection({ connection, session, graceMs: this.#graceMs, clock, log: this.#log(info) });
  }

  /** Lets the requests of a connection that the edge drains finish, in the background. */
  #linger(connection: ConnectorConnection, session: RegistrationSession): void {
    const ended = connection.drain(this.#context.gracePeriodMs).then(() => {
      session.close();
      connection.abort(stoppedError());
      this.#lingering.delete(ended);
    });
    this.#lingering.add(ended);
  }

  /** Decides about the next attempt: the wait in milliseconds, or undefined when there is none. */
  #judge(end: AttemptEnd): number | undefined {
    const { error, registered } = end;
    if (this.#skipWait) {
      this.#skipWait = false;
      return this.#stagger();
    }
    if (error === undefined && this.#context.clock.monotonicMs() - this.#registeredAtMs >= stableMs)
      return this.#stagger();
    if (!registered && error !== undefined) this.#reportFailure(error);
    if (isPosternError(error, 'credentials.refused')) this.#refusals += 1;
    if (isPosternError(error) && this.#isFatal(error)) {
      this.emit('fatal', error);
      return undefined;
    }
    if (error !== undefined) {
      this.#rotate = rotates(error, registered);
      if (this.#rotate) this.#context.directory.refresh();
    }
    const { waitMs, upToMs } = this.#nextWait(error);
    const fields = { connIndex: this.connIndex, event: 0 };
    this.#context.logger.info(fields, `Retrying connection in up to ${formatDuration(upToMs)}`);
    return waitMs;
  }

  #nextWait(error: unknown): { waitMs: number; upToMs: number } {
    if (!isPosternError(error, 'credentials.refused') || !this.#context.everRegistered()) return this.#backOff.next();
    const jitterMs = Math.floor(this.#context.random() * refusedJitterMs);
    return { waitMs: refusedWaitMs + jitterMs, upToMs: refusedWaitMs + refusedJitterMs };
  }

  /** Connections that all redial at once keep a little distance, so that an edge that just came up is not hit by a burst. */
  #stagger(): number {
    return 1 + this.connIndex * 100 + Math.floor(this.#context.random() * 100);
  }

  #reportFailure(error: unknown): void {
    const code = isPosternError(error) ? error.code : 'internal';
    const fields = { connIndex: this.connIndex, event: 0, error: describeError(error) };
    this.#context.logger.error(fields, 'Unable to establish connection with the edge');
    this.emit('registrationFailed', { connIndex: this.connIndex, reason: code });
  }

  /**
   * Network errors never end the program. Bad configuration does; so do credentials that no registration of this run has
   * passed with. Once a connection had registered, a refusal may be an edge in trouble: it is retried with long waits.
   */
  #isFatal(error: PosternError): boolean {
    if (error.kind.scope === 'config' || error.kind.scope === 'usage') return true;
    if (error.code !== 'credentials.refused') return error.kind.scope === 'credentials';
    return !this.#context.everRegistered() && this.#refusals >= refusalsBeforeFatal;
  }

  async #wait(waitMs: number, unreachable: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#context.clock.after(waitMs, resolve);
    this.#state = { kind: 'waiting', wake: resolve, unreachable };
    await promise;
    cancel();
  }

  /** Ends a wait or a dial; a registered connection is left alone. */
  #interrupt(): void {
    const state = this.#state;
    switch (state.kind) {
      case 'waiting':
        state.wake();
        return;
      case 'dialling':
        state.abort.abort();
        return;
      case 'registering':
        if (this.#stopping) state.connection.abort(stoppedError());
        return;
      case 'idle':
      case 'connected':
      case 'draining':
      case 'stopped':
        return;
    }
  }

  #log(info: ConnectionInfo): Logger {
    const { connIndex, connectionId, ip, location, protocol } = info;
    return this.#context.logger.child({ connIndex, connection: connectionId, event: 0, ip, location, protocol });
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof PosternError && error.kind.scope === 'network';
}

/** Whether the next dial should go to another address: the edge could not be reached, or said that it has us already. */
function rotates(error: unknown, registered: boolean): boolean {
  if (registered || !(error instanceof PosternError)) return false;
  return error.kind.retry === 'elsewhere' || error.kind.scope === 'network';
}
