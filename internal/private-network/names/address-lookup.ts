// One look-up of a name's addresses over an upstream: both families at once, asked again when datagrams get lost, within
// a deadline. Source: RFC 1035 §4.2.1 (retransmission), RFC 8305 §3 (waiting for the other family).

import type { IpBytes } from '../../net/address/ip.ts';
import {
  type AddressAnswer,
  type AddressType,
  addressTypes,
  decodeAddressAnswer,
  encodeAddressQuery,
} from '../dns/address-query.ts';
import { answersQuestion, isTruncated, questionOf, readId, readQuery } from '../dns/message.ts';
import type { DnsUpstream } from '../dns/upstream.ts';
import { askOverTcp, type OpenDnsStream } from './tcp-query.ts';

/** What came of a look-up: addresses (IPv4 first), none, or no answer. */
export type NameAnswer =
  | { readonly kind: 'found'; readonly addresses: readonly IpBytes[]; readonly ttlSeconds: number }
  | { readonly kind: 'no-address' }
  | { readonly kind: 'no-answer' };

/**
 * Waits after each try. Together the deadline: 4 s are more than a resolver needs that asks others first, and leave a
 * caller of the API with 15 s enough for what it wanted the name for.
 */
export const triesMs: readonly number[] = [1_000, 1_500, 1_500];
/** How long the second family may take longer than the first one that has addresses. */
const otherFamilyMs = 50;

export interface AddressLookupOptions {
  /** In lower case. */
  readonly name: string;
  /** Asked for each try; undefined = there is no way to the resolver now. */
  readonly upstream: () => DnsUpstream | undefined;
  /** Opens a stream to the same resolver, where datagrams do not get there or answers are cut; undefined = there is none. */
  readonly openStream?: OpenDnsStream | undefined;
  /** Called exactly once, never within the constructor's call. */
  readonly settle: (answer: NameAnswer) => void;
  /** Default: `triesMs`. */
  readonly waitsMs?: readonly number[] | undefined;
}

/** A look-up in progress. */
export class AddressLookup {
  readonly #options: AddressLookupOptions;
  readonly #answers = new Map<AddressType, AddressAnswer | undefined>();
  readonly #overTcp = new Set<AddressType>();
  #abort: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tries = 0;
  #settled = false;

  constructor(options: AddressLookupOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => this.#try(), 0);
  }

  /** Ends it without answer. Idempotent. */
  cancel(): void {
    this.#finish({ kind: 'no-answer' });
  }

  #try(): void {
    const waitMs = (this.#options.waitsMs ?? triesMs)[this.#tries];
    if (waitMs === undefined) {
      this.#conclude();
      return;
    }
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#try(), waitMs);
    for (const type of addressTypes) if (!this.#answers.has(type) && !this.#overTcp.has(type)) this.#ask(type);
  }

  #ask(type: AddressType): void {
    const query = encodeAddressQuery(this.#options.name, type);
    const layout = readQuery(query);
    const upstream = this.#settled ? undefined : this.#options.upstream();
    if (upstream === undefined || layout === undefined) {
      this.#answered(type, undefined);
      return;
    }
    upstream.ask(query, layout, outcome => {
      if (outcome.kind === 'failed' || (outcome.kind === 'answered' && isTruncated(outcome.message)))
        this.#askOverTcp(type);
      else if (outcome.kind === 'answered')
        this.#answered(type, decodeAddressAnswer(outcome.message, this.#options.name, type));
      // What was dropped is asked again when the timer says so.
    });
  }

  #askOverTcp(type: AddressType): void {
    const { name, openStream } = this.#options;
    if (openStream === undefined) {
      this.#answered(type, undefined);
      return;
    }
    if (this.#settled || this.#overTcp.has(type)) return;
    this.#overTcp.add(type);
    this.#abort ??= new AbortController();
    const query = encodeAddressQuery(name, type);
    askOverTcp(openStream, query, this.#abort.signal).then(
      message => {
        const isOurs = readId(message) === 0 && answersQuestion(message, questionOf(query, query.length));
        this.#answered(type, isOurs ? decodeAddressAnswer(message, name, type) : undefined);
      },
      // No way either; the tracker tells of the flow.
      () => this.#answered(type, undefined),
    );
  }

  #answered(type: AddressType, answer: AddressAnswer | undefined): void {
    if (this.#settled || this.#answers.has(type)) return;
    this.#answers.set(type, answer);
    if (this.#answers.size === 2) this.#conclude();
    else if ((answer?.addresses.length ?? 0) > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#conclude(), otherFamilyMs);
    }
  }

  #conclude(): void {
    const answers = addressTypes.flatMap(type => this.#answers.get(type) ?? []);
    const found = answers.filter(({ addresses }) => addresses.length > 0);
    if (found.length > 0) {
      this.#finish({
        kind: 'found',
        addresses: found.flatMap(({ addresses }) => addresses),
        ttlSeconds: Math.min(...found.map(({ ttlSeconds }) => ttlSeconds)),
      });
    } else this.#finish({ kind: answers.length === 2 ? 'no-address' : 'no-answer' });
  }

  #finish(answer: NameAnswer): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#options.settle(answer);
  }
}
