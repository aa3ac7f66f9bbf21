// The edge as the name server of `_acme-challenge.DOMAIN`: one NS record at the domain's provider, and wildcards need no API of
// the provider. Messages only; who listens is edge/challenge-dns-listener.ts. Source: RFC 8555 §8.4, RFC 1035 §4, RFC 6891.

import { createHash } from 'node:crypto';
import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode } from 'dns-packet';
import type { Solver } from './request-certificate.ts';

/** Longest query taken: a question, and what resolvers add to it. */
export const maxQueryBytes = 512;
/** Of one name at once: a domain and its wildcard, asked for by edges that share it. */
const maxValues = 8;
/** Resolvers keep an answer for so long. */
const ttlSeconds = 1;
const udpPayloadSize = 1_232;
/** Zero for a query, RFC 1035 §4.1.1. */
const opcodeMask = 0x78_00;
const responseCode = { none: 0, noName: 3, notImplemented: 4, refused: 5 } as const;

export class ChallengeDns implements Solver {
  readonly type = 'dns-01';
  readonly #domain: string;
  readonly #zone: string;
  readonly #server: string;
  readonly #values = new Set<string>();

  /** @param server the edge's own host name, which the NS record names */
  constructor(domain: string, server: string) {
    this.#domain = domain.toLowerCase();
    this.#zone = `_acme-challenge.${this.#domain}`;
    this.#server = server;
  }

  canSolve(name: string): boolean {
    return name === this.#domain && this.#values.size < maxValues;
  }

  async present(_name: string, _token: string, keyAuthorization: string): Promise<AsyncDisposable> {
    const value = createHash('sha256').update(keyAuthorization).digest('base64url');
    this.#values.add(value);
    return { [Symbol.asyncDispose]: async () => void this.#values.delete(value) };
  }

  /** The answer to a message; undefined for what is no query, which gets none. Never throws. */
  answer(message: Buffer): Buffer | undefined {
    if (message.length > maxQueryBytes) return undefined;
    let query: DecodedPacket;
    try {
      query = decode(message);
    } catch {
      // dns-packet throws errors of several kinds for what it cannot read.
      return undefined;
    }
    const { id, questions = [], additionals = [] } = query;
    const [question, ...more] = questions;
    if (query.type !== 'query' || question === undefined || more.length > 0) return undefined;
    const {
      code,
      answers = [],
      authorities = [],
    } = ((query.flags ?? 0) & opcodeMask) === 0
      ? this.#look(question.name, question.type)
      : { code: responseCode.notImplemented };
    const withOptions = additionals.some(({ type }) => type === 'OPT');
    try {
      return encode({
        type: 'response',
        id: id ?? 0,
        flags: code | (code === responseCode.refused ? 0 : AUTHORITATIVE_ANSWER),
        // As it was asked, in its letter case: resolvers check that.
        questions: [question],
        answers,
        authorities,
        additionals: withOptions
          ? [{ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [] } as unknown as Answer]
          : [],
      });
    } catch {
      // A question of a type that it can read and not write.
      return undefined;
    }
  }

  #look(asked: string, type: string): { code: number; answers?: Answer[]; authorities?: Answer[] } {
    const name = asked.toLowerCase().replace(/\.$/, '');
    const start: Answer = { type: 'SOA', name: this.#zone, ttl: ttlSeconds, data: this.#soa() };
    if (name.endsWith(`.${this.#zone}`)) return { code: responseCode.noName, authorities: [start] };
    if (name !== this.#zone) return { code: responseCode.refused };
    const answers: Answer[] = [];
    if (type === 'TXT')
      for (const value of this.#values) answers.push({ type: 'TXT', name: asked, ttl: ttlSeconds, data: value });
    if (type === 'SOA') answers.push(start);
    if (type === 'NS') answers.push({ type: 'NS', name: asked, ttl: ttlSeconds, data: this.#server });
    return { code: responseCode.none, answers, authorities: answers.length === 0 ? [start] : [] };
  }

  #soa() {
    const times = { refresh: 3_600, retry: 600, expire: 86_400, minimum: ttlSeconds };
    return { mname: this.#server, rname: `hostmaster.${this.#domain}`, serial: 1, ...times };
  }
}
