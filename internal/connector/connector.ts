// A connector: N connections to the edge, each its own loop, started one after the other; watches the machine, counts what
// is ready, and stops in order. Source: docs/protocol/edge-protocol.md §4.1, §4.2, §11.

import { EventEmitter } from 'node:events';
import { errorFields, PosternError } from '../errors/error.ts';
import type { Protocol } from '../transport/transport.ts';
import { ConnectionLoop } from './loop/connection-loop.ts';
import { type ConnectionFigures, figuresOf } from './loop/connection-metrics.ts';
import type { ConnectionInfo, ConnectorEvents } from './loop/connector-events.ts';
import { EdgeBalance } from './loop/edge-balance.ts';
import type { LoopContext } from './loop/loop-context.ts';
import { machineAddresses, watchMachine } from './loop/machine-watch.ts';

export interface ConnectorOptions extends Omit<LoopContext, 'everRegistered'> {
  /** How many connections are wanted; fewer when the edge has fewer addresses. */
  readonly haConnections: number;
  /** The machine's addresses now; passed in for tests. */
  readonly addresses?: (() => readonly string[]) | undefined;
}

/** Between the starts of connections 1, 2, 3 …; docs/protocol/edge-protocol.md §4.1. */
const startSpacingMs = 1_000;
/** How often the figures of connections are logged, at debug level. */
const figuresEveryMs = 60_000;
/** How often uneven use of edges is looked for, and an idle moment to move a connection. */
const balanceTickMs = 2_000;
/** How often the policy is asked for trials and moves. */
const trialTickMs = 5_000;

export class Connector extends EventEmitter<ConnectorEvents> {
  readonly #options: ConnectorOptions;
  readonly #loops: ConnectionLoop[] = [];
  readonly #connected = new Map<number, ConnectionInfo>();
  readonly #runs: Promise<void>[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #cancelStart: (() => void) | undefined;
  #everRegistered = false;
  #fatal: PosternError | undefined;
  #stopping = false;
  #started = false;
  #trying = false;

  constructor(options: ConnectorOptions) {
    super();
    this.#options = options;
  }

  /** Registered connections now, by index. */
  get connections(): readonly ConnectionInfo[] {
    return [...this.#connected.values()].sort((a, b) => a.connIndex - b.connIndex);
  }

  /** Figures of the registered connections now. */
  get figures(): readonly ConnectionFigures[] {
    return this.#loops.flatMap(({ connIndex, registered }) =>
      registered === undefined
        ? []
        : [{ connIndex, stats: registered.stats(), pathDetails: () => registered.pathDetails?.() }],
    );
  }

  /** Registered connections now. */
  get readyCount(): number {
    return this.#connected.size;
  }

  /**
   * Runs until `stop`. Resolves after an orderly end; rejects with 'credentials.refused' or 'config.invalid' when trying
   * again cannot help. Call once.
   */
  async run(): Promise<void> {
    if (this.#stopping) return;
    const { clock, logger, policy } = this.#options;
    const addresses = this.#options.addresses ?? machineAddresses;
    const endWatch = watchMachine({
      clock,
      addresses,
      changed: change => {
        logger.info({ change }, 'The machine woke up or its network changed, checking connections');
        policy.machineChanged?.();
        for (const loop of this.#loops) loop.recheck(addresses());
      },
    });
    const endTrials = this.#tryProtocols();
    const endFigures = this.#logFigures();
    const endBalance = this.#balance();
    this.#start(0);
    await this.#ended.promise;
    endWatch();
    endTrials();
    endFigures();
    endBalance();
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  /**
   * Unregisters every connection, lets running requests finish within `graceMs`, and closes. Settles when all connections
   * have ended; later calls wait for the same end.
   */
  async stop(graceMs: number = this.#options.gracePeriodMs): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.#cancelStart?.();
      for (const loop of this.#loops) loop.drain(graceMs);
      if (this.#loops.length === 0) this.#ended.resolve();
    }
    await this.#ended.promise;
  }

  /** Ends now; running requests are cut. */
  abort(): void {
    this.#stopping = true;
    this.#cancelStart?.();
    for (const loop of this.#loops) loop.abort();
    if (this.#loops.length === 0) this.#ended.resolve();
  }

  #start(connIndex: number): void {
    const loop = new ConnectionLoop(connIndex, { ...this.#options, everRegistered: () => this.#everRegistered });
    this.#loops.push(loop);
    loop.on('connected', info => this.#onConnected(info));
    loop.on('disconnected', (info, error) => this.#onDisconnected(info, error));
    loop.on('registrationFailed', failure => this.emit('registrationFailed', failure));
    loop.on('localConfiguration', pushed => this.emit('localConfiguration', pushed));
    loop.on('fatal', error => this.#onFatal(error));
    this.#runs.push(loop.run());
    const count = this.#runs.length;
    Promise.all(this.#runs).then(
      () => {
        // A loop that was started meanwhile is waited for by its own call.
        if (count === this.#runs.length) this.#ended.resolve();
      },
      (error: unknown) => this.#ended.reject(error),
    );
  }

  #logFigures(): () => void {
    const { clock, logger } = this.#options;
    if (!logger.isLevelEnabled('debug')) return () => undefined;
    const log = (): void => {
      cancel = clock.after(figuresEveryMs, log);
      for (const { connIndex, stats } of this.figures) {
        logger.debug({ connIndex, ...figuresOf(stats) }, 'Figures of the connection');
      }
    };
    let cancel = clock.after(figuresEveryMs, log);
    return () => cancel();
  }

  /** Moves connections to edges that have become usable again, while all connections are well. */
  #balance(): () => void {
    const { clock, directory, random } = this.#options;
    const balance = new EdgeBalance({ directory, clock, random });
    const tick = (): void => {
      cancel = clock.after(balanceTickMs, tick);
      balance.tick(this.#connected.size < this.#loops.length ? undefined : this.#loops);
    };
    let cancel = clock.after(balanceTickMs, tick);
    return () => cancel();
  }

  /** Where the policy learns: trial dials when it asks for them, and moving idle connections one at a time. */
  #tryProtocols(): () => void {
    const { clock, policy } = this.#options;
    if (policy.trial === undefined) return () => undefined;
    const tick = (): void => {
      cancel = clock.after(trialTickMs, tick);
      const protocol = policy.trial?.();
      if (protocol !== undefined && !this.#trying && this.#connected.size > 0) void this.#tryDial(protocol);
      // Only while every connection is up: a trial could cost one more.
      if (this.#connected.size < this.#loops.length) return;
      const target = policy.target?.();
      if (target !== undefined) this.#moveOne(target);
    };
    let cancel = clock.after(trialTickMs, tick);
    return () => cancel();
  }

  /** Moves the first connection that can be moved now. */
  #moveOne(target: Protocol): void {
    this.#options.policy.moving?.();
    for (const loop of this.#loops) if (loop.moveTo(target)) return;
  }

  async #tryDial(protocol: Protocol): Promise<void> {
    const { policy } = this.#options;
    const loop = this.#loops.find(candidate => candidate.state.kind === 'connected');
    if (loop === undefined) return;
    this.#trying = true;
    try {
      const connection = await loop.dialForTrial(protocol);
      connection.abort(new PosternError('connection.closed', 'Trial of the protocol is over'));
      policy.tried?.(undefined);
    } catch (error) {
      policy.tried?.(error);
    } finally {
      this.#trying = false;
    }
  }

  #onConnected(info: ConnectionInfo): void {
    this.#everRegistered = true;
    this.#connected.set(info.connIndex, info);
    this.emit('connected', info);
    this.emit('ready', this.#connected.size);
    for (const loop of this.#loops) if (loop.connIndex !== info.connIndex) loop.hurry();
    if (this.#started || this.#stopping) return;
    this.#started = true;
    this.#startOthers();
  }

  /** Once one connection has registered, the others follow, spaced. */
  #startOthers(): void {
    const { clock, directory, haConnections, logger } = this.#options;
    const capacity = directory.capacity ?? haConnections;
    if (haConnections > capacity) {
      logger.warn(`You requested ${haConnections} HA connections but I can give you at most ${capacity}.`);
    }
    const wanted = Math.min(haConnections, capacity);
    const next = (connIndex: number): void => {
      if (connIndex >= wanted || this.#stopping) return;
      this.#cancelStart = clock.after(startSpacingMs, () => {
        this.#start(connIndex);
        next(connIndex + 1);
      });
    };
    next(1);
  }

  #onDisconnected(info: ConnectionInfo, error: unknown): void {
    this.#connected.delete(info.connIndex);
    this.emit('disconnected', info, error);
    this.emit('ready', this.#connected.size);
  }

  #onFatal(error: PosternError): void {
    if (this.#fatal !== undefined || this.#stopping) return;
    this.#fatal = error;
    this.#options.logger.error(errorFields(error), 'Cannot go on');
    this.#stopping = true;
    this.#cancelStart?.();
    for (const loop of this.#loops) loop.drain(this.#options.gracePeriodMs);
  }
}
