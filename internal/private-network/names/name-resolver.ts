// Addresses of names in virtual networks: cached for their TTL, one look-up at a time for each name, bounded in number.
// Who may be asked about which name is decided elsewhere (private-network.ts).

import { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import { DnsUpstream } from '../dns/upstream.ts';
import type { OpenUdpFlow } from '../flows/udp-flow.ts';
import { AddressLookup, type NameAnswer } from './address-lookup.ts';
import type { OpenDnsStream } from './tcp-query.ts';

/** A resolver that knows the names of one virtual network. */
export interface NameSource {
  /** The same for the same resolver of the same network, and for nothing else. */
  readonly key: string;
  /** Words for errors. */
  readonly title: string;
  /** Opens a flow to it. */
  readonly open: OpenUdpFlow;
  /** Opens a stream to it, where datagrams do not suffice. */
  readonly openStream?: OpenDnsStream | undefined;
}

/** Counts only rise. */
export interface NameCounters {
  /** Names asked for that the cache knew. */
  cached: number;
  found: number;
  noAddress: number;
  noAnswer: number;
  /** Not looked up: too many look-ups were under way. */
  refused: number;
}

/** Look-ups at once with one resolver: half of the queries that its flow holds, since each asks for two families. */
export const maxLookups = 256;
/** Names kept, about 300 bytes each. */
export const maxCached = 4_096;
/** A name that moves is found within five minutes whatever its TTL says; TTL 0 still serves one burst of datagrams. */
const ttlLimitsMs = { least: 1_000, most: 300_000 } as const;
/** Negative answers are kept shortly: their TTL is in a record that nobody here reads, and people add names and try again. */
const noAddressMs = 5_000;
/** A sender whose name got no answer must not ask for each of its datagrams. */
const noAnswerMs = 1_000;

interface Cached {
  readonly answer: NameAnswer;
  readonly untilMs: number;
}

interface Source {
  upstream: DnsUpstream | undefined;
  readonly lookups: Map<string, { readonly lookup: AddressLookup; readonly promise: Promise<NameAnswer> }>;
}

export class NameResolver {
  readonly counters: NameCounters = { cached: 0, found: 0, noAddress: 0, noAnswer: 0, refused: 0 };
  readonly #now: () => number;
  readonly #waitsMs: readonly number[] | undefined;
  readonly #cache = new Map<string, Cached>();
  readonly #sources = new Map<string, Source>();
  #closed = false;

  /** @param options.now milliseconds of a clock that never goes back */
  constructor(options: { readonly now?: () => number; readonly waitsMs?: readonly number[] } = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#waitsMs = options.waitsMs;
  }

  /** Names in the cache. */
  get size(): number {
    return this.#cache.size;
  }

  /** Look-ups under way. */
  get pending(): number {
    let count = 0;
    for (const source of this.#sources.values()) count += source.lookups.size;
    return count;
  }

  /**
   * The addresses of a name (lower case), at least one, IPv4 first. Rejects 'flow.limit' when too many look-ups are under
   * way, 'origin.unreachable' when there is no such name, or no answer within 4 s.
   */
  async resolve(source: NameSource, name: string): Promise<readonly IpBytes[]> {
    const answer = await this.#answer(source, name);
    if (answer.kind === 'found') return answer.addresses;
    throw new PosternError(
      'origin.unreachable',
      answer.kind === 'no-address'
        ? `${source.title} knows no address of ${name}`
        : `${source.title} gave no answer about ${name}`,
    );
  }

  /** Ends every look-up without answer. */
  close(): void {
    this.#closed = true;
    for (const { upstream, lookups } of [...this.#sources.values()]) {
      for (const { lookup } of [...lookups.values()]) lookup.cancel();
      upstream?.close();
    }
    this.#sources.clear();
    this.#cache.clear();
  }

  #answer(source: NameSource, name: string): NameAnswer | Promise<NameAnswer> {
    const key = `${source.key} ${name}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined && cached.untilMs > this.#now()) {
      this.counters.cached += 1;
      return cached.answer;
    }
    if (this.#closed) return { kind: 'no-answer' };
    const state = this.#sourceOf(source.key);
    const running = state.lookups.get(name);
    if (running !== undefined) return running.promise;
    if (state.lookups.size >= maxLookups) {
      this.counters.refused += 1;
      throw new PosternError('flow.limit', `There are already ${maxLookups} names being looked up`);
    }
    const { promise, resolve } = Promise.withResolvers<NameAnswer>();
    const lookup = new AddressLookup({
      name,
      waitsMs: this.#waitsMs,
      openStream: source.openStream,
      upstream: () => this.#upstream(source, state),
      settle: answer => {
        state.lookups.delete(name);
        this.#forgetIdle(source.key, state);
        this.#keep(key, answer);
        resolve(answer);
      },
    });
    state.lookups.set(name, { lookup, promise });
    return promise;
  }

  #sourceOf(key: string): Source {
    let state = this.#sources.get(key);
    if (state === undefined) {
      state = { upstream: undefined, lookups: new Map() };
      this.#sources.set(key, state);
    }
    return state;
  }

  #upstream(source: NameSource, state: Source): DnsUpstream | undefined {
    if (state.upstream !== undefined || this.#closed) return state.upstream;
    try {
      state.upstream = new DnsUpstream(
        source.open,
        () => {
          state.upstream = undefined;
          this.#forgetIdle(source.key, state);
        },
        this.#now,
      );
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      // Denied or over a limit, which the tracker tells.
      return undefined;
    }
    return state.upstream;
  }

  #forgetIdle(key: string, state: Source): void {
    if (state.upstream === undefined && state.lookups.size === 0) this.#sources.delete(key);
  }

  #keep(key: string, answer: NameAnswer): void {
    const { counters } = this;
    let keptMs: number;
    switch (answer.kind) {
      case 'found':
        counters.found += 1;
        keptMs = Math.min(Math.max(answer.ttlSeconds * 1_000, ttlLimitsMs.least), ttlLimitsMs.most);
        break;
      case 'no-address':
        counters.noAddress += 1;
        keptMs = noAddressMs;
        break;
      case 'no-answer':
        counters.noAnswer += 1;
        keptMs = noAnswerMs;
    }
    if (this.#closed) return;
    this.#cache.delete(key);
    if (this.#cache.size >= maxCached) {
      const [oldest] = this.#cache.keys();
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    this.#cache.set(key, { answer, untilMs: this.#now() + keptMs });
  }
}
