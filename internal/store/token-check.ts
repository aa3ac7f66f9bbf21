// Tells whose an API token is: for calls of the API, for on-ramps and for logins. The one place that compares tokens.

import { timingSafeEqual } from 'node:crypto';
import type { ApiTokenRecord } from './contract/records.ts';
import type { AccountStore, TokenUseStore } from './contract/store.ts';
import { digestApiToken } from './secret-box.ts';

/** Uses of one token that are told to the store: one in this time, whoever calls how often. */
export const useIntervalMs = 60_000;
/** No token of ours is longer. */
const maxTokenLength = 512;
/** Tokens whose last use is remembered here; beyond that a use is written once more often. */
const maxRemembered = 10_000;

export interface TokenCheckParts {
  readonly store: { readonly accounts: Pick<AccountStore, 'tokenByDigest'>; readonly tokenUses: TokenUseStore };
  readonly now?: (() => number) | undefined;
}

export class TokenCheck {
  readonly #store: TokenCheckParts['store'];
  readonly #now: () => number;
  /** When the use of a token was last written, by id. */
  readonly #written = new Map<string, number>();

  constructor({ store, now = Date.now }: TokenCheckParts) {
    this.#store = store;
    this.#now = now;
  }

  /** The token, unless it is unknown, revoked or expired; its use is noted. Throws `store.failed` or 'store.busy'. */
  async find(text: string): Promise<ApiTokenRecord | undefined> {
    if (text === '' || text.length > maxTokenLength) return undefined;
    const digest = digestApiToken(text);
    const found = await this.#store.accounts.tokenByDigest(digest);
    if (found === undefined || !timingSafeEqual(found.digest, digest) || this.isExpired(found)) return undefined;
    this.#note(found.id);
    return found;
  }

  isExpired({ expiresAtMs }: Pick<ApiTokenRecord, 'expiresAtMs'>): boolean {
    return expiresAtMs !== undefined && expiresAtMs <= this.#now();
  }

  #note(id: string): void {
    const now = this.#now();
    if (now - (this.#written.get(id) ?? -useIntervalMs) < useIntervalMs) return;
    if (this.#written.size >= maxRemembered) this.#written.clear();
    this.#written.set(id, now);
    // A convenience for listings: no call waits for it, or fails because of it.
    this.#store.tokenUses.mark(id, now).catch(() => this.#written.delete(id));
  }
}
