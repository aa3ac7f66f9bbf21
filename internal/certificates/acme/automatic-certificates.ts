// Certificates of a public authority for the names that this edge serves: asked for when a visitor calls a routed name, kept in
// the store, renewed in time. A name is looked up before anything is done for it, so a flood of invented names costs nothing.
//
//   unknown ── a visitor, a routed name ──▶ asking ──▶ held ── due ──▶ asking, while the old one serves
//                                             │ ▲
//                                             ▼ │ later each time
//                                            failed

import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { describeError, isPosternError } from '../../errors/error.ts';
import type { CertificateRecord } from '../../store/contract/records.ts';
import type { ClaimCertificate, Store } from '../../store/contract/store.ts';
import type { SecretBox } from '../../store/secret-box.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { CertificateOverlay, NameCertificates } from '../name-certificates.ts';
import { AcmeAccount } from './acme-account.ts';
import type { AcmeAuthority, AcmeClient } from './acme-client.ts';
import { ChallengeAnswers } from './challenge-answers.ts';
import { RenewalLooks } from './renewal-looks.ts';
import { defaultRenewalMs, lifetimeOf, renewalIdOf, retryDelayMs } from './renewal-time.ts';
import { requestCertificate, type Solver } from './request-certificate.ts';

export interface AutomaticOptions {
  readonly authority: AcmeAuthority;
  readonly store: Pick<Store, 'certificates' | 'changes'>;
  readonly secrets: SecretBox;
  /** Whose subdomains visitors use. */
  readonly domain: string;
  /** The ways to prove a name, in order of preference; `answers` has those of this edge's listeners. */
  readonly solvers: (answers: ChallengeAnswers) => readonly Solver[];
  readonly logger: Logger;
  readonly now?: (() => number) | undefined;
  /** 0 to 1. Default Math.random. */
  readonly random?: (() => number) | undefined;
  /** How often is looked for what is due. Default a minute; expiry is a matter of days. */
  readonly checkIntervalMs?: number | undefined;
  /** Orders within a week. Default: `orderLimits`. */
  readonly limits?: OrderLimits | undefined;
}

export interface OrderLimits {
  readonly ofAccount: number;
  readonly ofAuthority: number;
}

/** Whom a name is of, when it may have a certificate of its own: one that is routed by itself. */
export type NameOwner = (name: string) => string | undefined;

export interface NameOwners {
  readonly ownerOf: NameOwner;
  /** Whom the domain itself is of. */
  readonly operator: string;
}

/** Orders and what became of them. */
export interface OrderCounters {
  issued: number;
  failed: number;
  /** Names of no route, quick tunnels, and those below a wildcard route. */
  readonly refused: { unrouted: number; account: number; authority: number; busy: number };
}

/**
 * First orders of names, failed ones too. Let's Encrypt gives fifty certificates a week for one domain, and says so itself when they
 * are used up; names that lead elsewhere must not use up what an account has.
 */
export const orderLimits: OrderLimits = { ofAccount: 50, ofAuthority: 150 };
const weekMs = 7 * 86_400_000;
/** One order, with everything: the authority looks from several places, and DNS takes its time. */
const orderTimeoutMs = 180_000;
/** Longest that a visitor's handshake waits for the first certificate of a name; then it gets the private CA's. */
const handshakeWaitMs = 8_000;
const maxAtOnce = 4;
const defaultCheckIntervalMs = 60_000;

export class AutomaticCertificates implements AsyncDisposable, CertificateOverlay {
  readonly answers = new ChallengeAnswers();
  readonly counters: OrderCounters = {
    ...{ issued: 0, failed: 0 },
    refused: { unrouted: 0, account: 0, authority: 0, busy: 0 },
  };
  readonly #options: AutomaticOptions;
  readonly #account: AcmeAccount;
  readonly #solvers: readonly Solver[];
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #closed = new AbortController();
  #records: ReadonlyMap<string, CertificateRecord> = new Map();
  /** Of the chains above, made when first asked for. */
  readonly #contexts = new Map<string, { readonly chain: string; readonly context: SecureContext }>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #looks: RenewalLooks;
  #owners: NameOwners | undefined;
  #checking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #unsubscribe: () => void;

  private constructor(options: AutomaticOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#account = new AcmeAccount({ ...options, now: this.#now });
    this.#looks = new RenewalLooks({
      withClient: work => this.#account.with(this.#closed.signal, work),
      ...{ now: this.#now, random: this.#random, logger: options.logger },
    });
    this.#solvers = options.solvers(this.answers);
    // Another edge on the same store may have got one.
    this.#unsubscribe = options.store.changes.subscribe(({ kind }) => {
      if (kind === 'reset') void this.#read().catch((error: unknown) => this.#cannotRead(error));
    });
  }

  /** Reads what is kept; asks nobody. Throws 'store.failed'. */
  static async open(options: AutomaticOptions): Promise<AutomaticCertificates> {
    const opened = new AutomaticCertificates(options);
    try {
      await opened.#read();
    } catch (error) {
      opened.#unsubscribe();
      throw error;
    }
    return opened;
  }

  /** Begins to ask. Until then only what is kept is served. */
  start(owners: NameOwners): void {
    this.#owners = owners;
    const { authority, domain, logger, checkIntervalMs = defaultCheckIntervalMs } = this.#options;
    const held = [...this.#records.values()].filter(({ issued }) => (issued?.expiresAtMs ?? 0) > this.#now()).length;
    if (held === 0)
      logger.warn(
        { authority: authority.directoryUrl, domain },
        'There is no public certificate yet: visitors see the private CA until the authority gives one',
      );
    else logger.info({ authority: authority.directoryUrl, certificates: held }, 'Public certificates are in use');
    this.#timer = setInterval(() => void this.check(), checkIntervalMs).unref();
    void this.check();
  }

  over(fallback: NameCertificates | undefined): NameCertificates {
    return {
      sniCallback: (servername, done) => {
        const name = servername.toLowerCase().replace(/\.$/, '');
        const orElse = (context: SecureContext | undefined): void => {
          if (context !== undefined) done(null, context);
          else if (fallback === undefined) done(null);
          else fallback.sniCallback(servername, done);
        };
        const found = this.#choose(name);
        if (found instanceof Promise) void found.then(orElse);
        else orElse(found);
      },
    };
  }

  /** What is held and what was asked for, by name. */
  list(): readonly CertificateRecord[] {
    return [...this.#records.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whom a name is of now; undefined for one that lost its route. */
  ownerOf(name: string): string | undefined {
    if (name === this.#wildcard()) return this.#owners?.operator;
    return this.#owners?.ownerOf(name);
  }

  /** Asks for everything that is due now, and waits for it; the timer does this by itself. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#checkAll()
      .catch((error: unknown) => this.#cannotRead(error))
      .finally(() => {
        this.#checking = undefined;
      });
    return this.#checking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe();
    this.#closed.abort();
    await Promise.all([this.#checking, ...this.#running.values()]);
  }

  #choose(name: string): SecureContext | Promise<SecureContext | undefined> | undefined {
    const challenge = this.answers.tlsAnswer(name);
    if (challenge !== undefined) return challenge;
    const held = this.#contextOf(name) ?? this.#contextOf(name.replace(/^[^.]+/, '*'));
    if (held !== undefined || this.#isCovered(name)) return held;
    // A wildcard route has a name too, which no visitor means.
    if (name.startsWith('*') || this.ownerOf(name) === undefined) {
      this.counters.refused.unrouted += 1;
      return undefined;
    }
    const asked = this.#running.get(name) ?? this.#orderWhenDue(name);
    if (asked === undefined) return undefined;
    const late = sleep(handshakeWaitMs, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
    return Promise.race([asked, late]).then(() => this.#contextOf(name));
  }

  /** Names below the domain get no certificate of their own where a wildcard can be had, until that turns out not to be so. */
  #isCovered(name: string): boolean {
    const wildcard = this.#wildcard();
    const record = wildcard === undefined ? undefined : this.#records.get(wildcard);
    if (record !== undefined && record.failures > 0 && (record.issued?.expiresAtMs ?? 0) <= this.#now()) return false;
    return wildcard !== undefined && (name === wildcard.slice(2) || name.replace(/^[^.]+/, '*') === wildcard);
  }

  /** What is asked for at once, since only DNS proves a wildcard. */
  #wildcard(): string | undefined {
    const { domain } = this.#options;
    return this.#solvers.some(({ type }) => type === 'dns-01') && domain.includes('.') ? `*.${domain}` : undefined;
  }

  #contextOf(name: string): SecureContext | undefined {
    // An apex comes with its wildcard.
    const record = this.#records.get(name) ?? this.#records.get(`*.${name}`);
    const { issued } = record ?? {};
    if (record === undefined || issued === undefined || issued.expiresAtMs <= this.#now()) return undefined;
    const made = this.#contexts.get(record.name);
    if (made?.chain === issued.chain) return made.context;
    try {
      const key = Buffer.from(this.#options.secrets.decrypt(certificatePurpose, record.name, issued.sealedKey));
      const context = createSecureContext({ cert: issued.chain, key });
      this.#contexts.set(record.name, { chain: issued.chain, context });
      return context;
    } catch (error) {
      this.#options.logger.error({ name: record.name, error: describeError(error) }, 'A certificate cannot be used');
      return undefined;
    }
  }

  async #checkAll(): Promise<void> {
    await this.#read();
    const wildcard = this.#wildcard();
    const names = new Set([...(wildcard === undefined ? [] : [wildcard]), ...this.#records.keys()]);
    const due: Promise<void>[] = [];
    for (const name of names) {
      const record = this.#records.get(name);
      if (this.ownerOf(name) === undefined || (name !== wildcard && this.#isCovered(name))) {
        if (record !== undefined && (record.issued?.expiresAtMs ?? 0) <= this.#now()) await this.#forget(name);
        continue;
      }
      if (record?.issued !== undefined) await this.#lookAtRenewal(record);
      while (this.#running.size >= maxAtOnce) await Promise.race(this.#running.values());
      const order = this.#running.get(name) ?? this.#orderWhenDue(name);
      if (order !== undefined) due.push(order);
    }
    await Promise.all(due);
  }

  async #forget(name: string): Promise<void> {
    await this.#options.store.certificates.remove(this.#options.authority.directoryUrl, name);
    this.#contexts.delete(name);
    this.#looks.forget(name);
    await this.#read();
  }

  async #lookAtRenewal(record: CertificateRecord): Promise<void> {
    const moment = await this.#looks.look(record);
    if (moment === undefined) return;
    await this.#options.store.certificates.postpone(this.#options.authority.directoryUrl, record.name, moment);
    await this.#read();
  }

  #orderWhenDue(name: string): Promise<void> | undefined {
    if (this.#closed.signal.aborted || (this.#records.get(name)?.nextAtMs ?? 0) > this.#now()) return undefined;
    if (this.#running.size >= maxAtOnce) {
      this.counters.refused.busy += 1;
      return undefined;
    }
    const order = this.#order(name)
      .catch((error: unknown) => this.#cannotRead(error))
      .finally(() => this.#running.delete(name));
    this.#running.set(name, order);
    return order;
  }

  async #order(name: string): Promise<void> {
    const { certificates } = this.#options.store;
    const authority = this.#options.authority.directoryUrl;
    const accountTag = this.ownerOf(name);
    if (accountTag === undefined) return;
    const claimed = await this.#claim(name, accountTag);
    if (claimed !== 'claimed') {
      if (claimed === 'held') return this.#read();
      this.counters.refused[claimed] += 1;
      this.#options.logger.warn({ name, limit: claimed }, 'No certificate was asked for: a week’s orders are used up');
      return;
    }
    const previous = this.#records.get(name)?.issued?.chain;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(orderTimeoutMs)]);
    try {
      const { chain, key } = await this.#account.with(signal, client => this.#request(client, name, previous, signal));
      const { fromMs, untilMs } = lifetimeOf(chain);
      const sealedKey = this.#options.secrets.encrypt(certificatePurpose, name, Buffer.from(key));
      const issued = { chain, sealedKey, issuedAtMs: fromMs, expiresAtMs: untilMs };
      await certificates.keep(authority, name, issued, defaultRenewalMs(fromMs, untilMs, this.#random));
      await this.#read();
      this.counters.issued += 1;
      const expires = new Date(untilMs).toISOString();
      this.#options.logger.info(
        { name, expires },
        previous === undefined ? 'Certificate issued' : 'Certificate renewed',
      );
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      await this.#failed(name, error);
    }
  }

  #claim(name: string, accountTag: string): Promise<ClaimCertificate> {
    const nowMs = this.#now();
    const { authority, limits = orderLimits, store } = this.#options;
    return store.certificates.claim({
      ...{ authority: authority.directoryUrl, name, accountTag, nowMs },
      ...{ untilMs: nowMs + orderTimeoutMs, sinceMs: nowMs - weekMs },
      ...{ maxOfAccount: limits.ofAccount, maxOfAuthority: limits.ofAuthority },
    });
  }

  async #request(client: AcmeClient, name: string, previous: string | undefined, signal: AbortSignal) {
    const names = name.startsWith('*.') ? [name, name.slice(2)] : [name];
    const solvers = solversAfter(this.#records.get(name)?.failures ?? 0, this.#solvers);
    const request = { names, solvers, signal };
    const { renewalInfo } = await client.directory();
    const replaces = previous === undefined || renewalInfo === undefined ? undefined : renewalIdOf(previous);
    try {
      return await requestCertificate(client, { ...request, replaces });
    } catch (error) {
      // Another edge renewed it, or the authority knows the old one no more: an order like any other.
      if (replaces === undefined || !isPosternError(error) || !refusesReplacing(error.details?.type)) throw error;
      return requestCertificate(client, request);
    }
  }

  async #failed(name: string, error: unknown): Promise<void> {
    const { store, authority, logger } = this.#options;
    const failures = (this.#records.get(name)?.failures ?? 0) + 1;
    const wanted = isPosternError(error) ? error.details?.retryAfterMs : undefined;
    const delayMs = retryDelayMs(failures, typeof wanted === 'number' ? wanted : undefined, this.#random);
    const nextAtMs = this.#now() + delayMs;
    const problem = describeError(error).slice(0, 1_000);
    this.counters.failed += 1;
    await store.certificates.fail(authority.directoryUrl, name, problem, nextAtMs);
    await this.#read();
    const issued = this.#records.get(name)?.issued;
    const leftMs = issued === undefined ? undefined : issued.expiresAtMs - this.#now();
    const fields = { name, error: problem, failures, next: new Date(nextAtMs).toISOString() };
    if (issued === undefined || leftMs === undefined) logger.warn(fields, 'No certificate was given');
    else {
      const days = Math.max(0, Math.floor(leftMs / 86_400_000));
      const level = leftMs < (issued.expiresAtMs - issued.issuedAtMs) / 10 ? 'error' : 'warn';
      logger[level](
        { ...fields, days },
        leftMs > 0
          ? 'A certificate could not be renewed; the old one serves on'
          : 'A certificate has ended and could not be renewed',
      );
    }
  }

  async #read(): Promise<void> {
    const list = await this.#options.store.certificates.list(this.#options.authority.directoryUrl);
    this.#records = new Map(list.map(record => [record.name, record]));
  }

  #cannotRead(error: unknown): void {
    if (!this.#closed.signal.aborted)
      this.#options.logger.error({ error: describeError(error) }, 'The store keeps no certificates now');
  }
}

/** What keys are sealed for. */
const certificatePurpose = 'certificate key';

/** After a failure another way is tried first: a port may be closed on the way here. Our own name server always comes first. */
function solversAfter(failures: number, solvers: readonly Solver[]): readonly Solver[] {
  const dns = solvers.filter(({ type }) => type === 'dns-01');
  const others = solvers.filter(({ type }) => type !== 'dns-01');
  const first = failures % Math.max(others.length, 1);
  return [...dns, ...others.slice(first), ...others.slice(0, first)];
}

function refusesReplacing(type: unknown): boolean {
  return typeof type === 'string' && /:(alreadyReplaced|malformed)$/.test(type);
}
