// One connection of a connector for the connector's whole life: dial, register, serve, wait, again. States are drawn in
// connection-state.ts. Source: docs/protocol/edge-protocol.md §4.2–4.4, §8.3, §11; where it differs, the reason is
// beside it.

import { EventEmitter } from 'node:events';
import { BackOff } from '../../discovery/back-off.ts';
import type { EdgeAddress } from '../../discovery/edge-address.ts';
import { describeError, errorFields, isPosternError, PosternError } from '../../errors/error.ts';
import { formatDuration } from '../../schema/duration.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConnectorConnection, Protocol } from '../../transport/transport.ts';
import { abortable, stoppedError } from './abortable.ts';
import { logFigures } from './connection-metrics.ts';
import type { ConnectedState, ConnectionState } from './connection-state.ts';
import type { ConnectionInfo } from './connector-events.ts';
import { drainConnection, outliveConnection } from './drain.ts';
import { dialEdge, raceEdge } from './edge-dial.ts';
import { type EdgeLink, registerLink } from './edge-link.ts';
import { isFatal, isUnreachable, Refusals, refusedWait, rotates } from './judge-failure.ts';
import { linkEnd } from './link-end.ts';
import type { LoopContext, LoopEvents } from './loop-context.ts';
import { PeerWatch } from './peer-watch.ts';
import type { RegistrationSession } from './registration.ts';
import { type MoveTarget, moveTimeoutMs, Replacement, type ReplacementEnd } from './replacement.ts';
import { reuseSourcePort } from './source-port.ts';

/** How an attempt ended: without an error when the edge drained it, `registered` when it had served. */
interface AttemptEnd {
  readonly error: unknown;
  readonly registered: boolean;
}

/** A connection that lasted this long was good: its next failure starts the back-off anew. */
const stableMs = 10_000;

export class ConnectionLoop extends EventEmitter<LoopEvents> {
  readonly connIndex: number;
  readonly #context: LoopContext;
  /** For trials: leaves from any port. */
  readonly #trialContext: LoopContext;
  readonly #backOff: BackOff;
  readonly #stop = Promise.withResolvers<void>();
  readonly #lingering = new Set<Promise<void>>();
  readonly #live = new Set<ConnectorConnection>();
  #state: ConnectionState = { kind: 'idle' };
  #done: Promise<void> | undefined;
  #stopping = false;
  #graceMs: number;
  #rotate = false;
  readonly #refusals = new Refusals();
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #skipWait = false;
  /** What is about to take the present connection's place. */
  #move: Replacement | undefined;
  /** The edge does not let a connection take another's place: moving means leaving first. */
  #leavesFirst = false;

  constructor(connIndex: number, context: LoopContext) {
    super();
    this.connIndex = connIndex;
    this.#trialContext = context;
    this.#context = { ...context, dial: reuseSourcePort(context.dial) };
    this.#graceMs = context.gracePeriodMs;
    this.#backOff = new BackOff({
      baseMs: 1_000,
      maxRetries: context.maxRetries,
      random: context.random,
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The registered connection; undefined while there is none. */
  get registered(): ConnectorConnection | undefined {
    return this.#state.kind === 'connected' ? this.#state.link.connection : undefined;
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
  async dialForTrial(protocol: Protocol, signal?: AbortSignal): Promise<ConnectorConnection> {
    const address = await this.#context.directory.acquire(this.connIndex, false);
    const trust = await this.#context.trust();
    return dialEdge(this.#trialContext, protocol, { address, trust, signal, timeoutMs: moveTimeoutMs });
  }

  /**
   * If registered over another protocol than `target` (and idle, unless that is HTTP/2, which is needed then): dials over it,
   * registers there in this one's place and lets this one go, so that the edge always has one. Whether it begins.
   */
  moveTo(target: Protocol): boolean {
    const state = this.#state;
    if (state.kind !== 'connected' || this.#move !== undefined || this.#stopping) return false;
    const { protocol, openStreams } = state.link.connection.stats();
    if (protocol === target || (openStreams > 0 && target !== 'http2')) return false;
    if (this.#leavesFirst) {
      state.leave();
      return true;
    }
    void this.#replace(state, { protocol: target, address: state.link.address }).then(({ error, refused }) => {
      if (error !== undefined && !refused) this.#context.policy.tried?.(error);
      this.#leavesFirst = refused;
    });
    return true;
  }

  /**
   * If registered and idle, or `evenInUse`: dials `address`, registers there in the present connection's place and lets that
   * go when its requests have finished. Resolves to whether it has moved; undefined when it did not begin.
   */
  moveToAddress(address: EdgeAddress, evenInUse = false): Promise<boolean> | undefined {
    const state = this.#state;
    if (state.kind !== 'connected' || this.#move !== undefined || this.#stopping) return undefined;
    const { connection } = state.link;
    if (!evenInUse && connection.stats().openStreams > 0) return undefined;
    return this.#replace(state, { protocol: connection.protocol, address }).then(({ moved }) => moved);
  }

  async #replace(state: ConnectedState, target: MoveTarget): Promise<ReplacementEnd> {
    const move = new Replacement(this.#context, this.connIndex, target);
    this.#move = move;
    const next = await move.link;
    if (next === undefined) this.#move = undefined;
    else {
      this.#context.directory.assign(this.connIndex, target.address);
      state.leave();
    }
    return { moved: next !== undefined, error: move.error, refused: move.refused };
  }

  /** Where service goes on after a connection's end: the connection that was to take its place, if one comes. */
  async #successor(): Promise<EdgeLink | undefined> {
    const move = this.#move;
    if (move === undefined) return undefined;
    if (this.#stopping) move.abort();
    const next = await move.link;
    this.#move = undefined;
    if (next === undefined || !this.#stopping) return next;
    next.session.close();
    next.connection.abort(stoppedError());
    return undefined;
  }

  #watchOver(connection: ConnectorConnection): void {
    this.#live.add(connection);
    void connection.closed.then(() => this.#live.delete(connection));
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
    const { directory, policy } = this.#context;
    const abort = new AbortController();
    this.#state = { kind: 'dialling', abort };
    const choice = policy.next(this.connIndex);
    let protocol = choice.first;
    let link: EdgeLink | undefined;
    try {
      const rotate = this.#rotate;
      this.#rotate = false;
      const address = await abortable(directory.acquire(this.connIndex, rotate), abort.signal);
      const trust = await abortable(this.#context.trust(), abort.signal);
      const connection = await raceEdge(this.#context, this.connIndex, choice, {
        address,
        trust,
        signal: abort.signal,
      });
      protocol = connection.protocol;
      this.#state = { kind: 'registering', connection };
      link = await registerLink(this.#context, connection, {
        connIndex: this.connIndex,
        address,
        previousAttempts: this.#backOff.retries,
        replaceExisting: false,
      });
      policy.registered(this.connIndex, protocol);
      for (let next: EdgeLink | undefined = link; next !== undefined; ) {
        link = next;
        protocol = link.connection.protocol;
        this.#watchOver(link.connection);
        next = await this.#serve(link);
      }
      return { error: undefined, registered: true };
    } catch (error) {
      link?.connection.abort(error instanceof PosternError ? error : stoppedError());
      const registered = link !== undefined;
      if (!this.#stopping) policy.failed(this.connIndex, protocol, error, registered);
      return { error, registered };
    }
  }

  /**
   * From the registration to the end of service. Rejects when the connection was lost; returns when it ended in order,
   * with the one that took its place, if any.
   */
  async #serve(link: EdgeLink): Promise<EdgeLink | undefined> {
    const { address, connection, details, session } = link;
    const info: ConnectionInfo = {
      connIndex: this.connIndex,
      connectionId: details.uuid,
      location: details.locationName,
      protocol: connection.protocol,
      ip: address.ip,
    };
    const watch = new PeerWatch(connection);
    const left = Promise.withResolvers<'move'>();
    this.#state = { kind: 'connected', link, watch, leave: () => left.resolve('move') };
    this.#refusals.clear();
    this.#registeredAtMs = this.#context.clock.monotonicMs();
    this.#log(info).info('Registered tunnel connection');
    this.emit('connected', info);
    void logFigures(connection, this.#log(info));
    if (this.connIndex === 0 && !details.tunnelIsRemotelyManaged) this.#pushLocalConfiguration(session);
    const why = await Promise.race([linkEnd(link, this.#stop.promise, this.#context.clock), left.promise]);
    watch.end();
    // An edge that lets the new connection take over ends the old one by itself, perhaps before we learn that it did.
    const next = await this.#successor();
    if (next === undefined && watch.lost) this.#skipWait = true;
    this.emit('disconnected', info, typeof why === 'string' ? undefined : why);
    if (next !== undefined) {
      this.#log(info).info(`Moving this connection to ${next.address.ip} over ${next.connection.protocol}`);
      this.#linger(this.#drainOne(link, info, true));
    } else if (why === 'stop' || why === 'move') {
      this.#state = { kind: 'draining', connection };
      await this.#drainOne(link, info, false);
      this.#skipWait = why === 'move';
    } else if (why === 'edge drains') {
      // The control stream ended or the edge said that it goes away, while requests may still run here: they finish, and
      // this connection's place is taken by a new one, at another edge if there is one.
      this.#log(info).info('The edge ends this connection, replacing it');
      this.#rotate = true;
      const stopped = this.#stop.promise.then(() => this.#graceMs);
      this.#linger(outliveConnection(link, stopped, this.#context.clock));
    } else {
      this.#log(info).warn({ error: describeError(why) }, 'Lost connection with the edge');
      session.close();
      throw why;
    }
    return next;
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

  #drainOne({ connection, session }: EdgeLink, info: ConnectionInfo, replaced: boolean): Promise<void> {
    const { clock } = this.#context;
    return drainConnection({ connection, session, graceMs: this.#graceMs, replaced, clock, log: this.#log(info) });
  }

  /** The old connection ends in the background, while service goes on over the next. */
  #linger(end: Promise<void>): void {
    this.#lingering.add(end);
    void end.then(() => this.#lingering.delete(end));
  }

  /** Decides about the next attempt: the wait in milliseconds, or undefined when there is none. */
  #judge(end: AttemptEnd): number | undefined {
    const { error, registered } = end;
    const nowMs = this.#context.clock.monotonicMs();
    // A connection that died at once was no success, however long the next attempt takes.
    if (registered) this.#backOff.lasted(nowMs - this.#registeredAtMs, stableMs);
    if (this.#skipWait) {
      this.#skipWait = false;
      return this.#stagger();
    }
    if (error === undefined && nowMs - this.#registeredAtMs >= stableMs) return this.#stagger();
    if (!registered && error !== undefined) this.#reportFailure(error);
    if (isPosternError(error, 'credentials.refused')) this.#refusals.add(nowMs);
    if (isPosternError(error) && isFatal(error, this.#context.everRegistered(), this.#refusals.areFinal(nowMs))) {
      this.emit('fatal', error);
      return undefined;
    }
    if (error !== undefined) {
      this.#rotate = rotates(error, registered);
      if (this.#rotate) this.#context.directory.refresh();
    }
    const { waitMs, upToMs } = this.#nextWait(error);
    const fields = { connIndex: this.connIndex };
    this.#context.logger.info(fields, `Retrying connection in up to ${formatDuration(upToMs)}`);
    return waitMs;
  }

  #nextWait(error: unknown): { waitMs: number; upToMs: number } {
    if (!isPosternError(error, 'credentials.refused') || !this.#context.everRegistered()) return this.#backOff.next();
    return refusedWait(this.#context.random);
  }

  /** Connections that all redial at once keep a little distance, so that an edge that just came up is not hit by a burst. */
  #stagger(): number {
    return 1 + this.connIndex * 100 + Math.floor(this.#context.random() * 100);
  }

  #reportFailure(error: unknown): void {
    const code = isPosternError(error) ? error.code : 'internal';
    const fields = { connIndex: this.connIndex, ...errorFields(error) };
    this.#context.logger.error(fields, 'Unable to establish connection with the edge');
    this.emit('registrationFailed', { connIndex: this.connIndex, reason: code });
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
    return this.#context.logger.child({ connIndex, connection: connectionId, ip, location, protocol });
  }
}
