// Logins under way, by the device flow of RFC 8628: a program asks, a person decides in a browser, the program fetches its
// token. They are kept in memory for minutes: an edge that stops forgets them, and the program asks again.
//
//   pending ──claim──▶ claimed ──approve──▶ approved ──take──▶ gone
//      ▲── release ──┘    └──── refuse ───▶ refused ──take──▶ gone      all: gone when expired

import { createHash, randomBytes, randomInt } from 'node:crypto';
import { PlaceLimiter } from '../../net/limits/address-limiter.ts';
import type { ApiTokenRecord } from '../../store/contract/records.ts';

/** Logins under way at once: far more people than log in within minutes. */
export const loginLimits = { total: 1_000, perAddress: 20 } as const;
/** How long a person may take. */
export const loginMs = 600_000;
/** How often a program may ask, in seconds. RFC 8628 §3.5 lets it be told, and adds five when it asks too often. */
export const pollSeconds = 2;
const slowDownSeconds = 5;

/** Letters without vowels and look-alikes, RFC 8628 §6.1: 20^8 codes, some 34 bits, good for ten minutes. */
const userCodeAlphabet = 'BCDFGHJKLMNPQRSTVWXZ';
const userCodeLength = 8;

/** What a person decided: whose token the program gets. */
export interface Approval {
  readonly accountTag: string;
  readonly userId: string | undefined;
  readonly scopes: readonly string[];
  readonly expiresAtMs: number | undefined;
  /** The API token that approved, or made the login code: it must be good still when the program fetches its own. */
  readonly tokenId: string | undefined;
  /** The API token that approved; undefined for a login code. The program's is revoked with it. */
  readonly parent: Pick<ApiTokenRecord, 'id' | 'label' | 'userId'> | undefined;
}

export interface Grant {
  /** `ABCD-EFGH`. */
  readonly userCode: string;
  /** Name of the asking machine, as it says. */
  readonly clientName: string;
  /** Address that asked. */
  readonly address: string;
  readonly expiresAtMs: number;
}

interface KeptGrant extends Grant {
  state: 'pending' | 'claimed' | 'approved' | 'refused';
  approval: Approval | undefined;
  intervalSeconds: number;
  polledAtMs: number;
  readonly release: () => void;
}

export type Poll =
  | { readonly kind: 'pending' | 'slow-down' | 'refused' | 'expired' | 'unknown' }
  | { readonly kind: 'approved'; readonly grant: Grant; readonly approval: Approval };

export class Grants {
  readonly #now: () => number;
  readonly #places = new PlaceLimiter(loginLimits);
  /** By the digest of the device code: what is kept lets nobody in. In the order of their expiry. */
  readonly #byDevice = new Map<string, KeptGrant>();
  readonly #byUser = new Map<string, KeptGrant>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Begins a login; undefined when there are too many of the address, or at all. */
  begin(clientName: string, address: string): (Grant & { readonly deviceCode: string }) | undefined {
    this.#forgetExpired();
    const release = this.#places.admit(address);
    if (release === undefined) return undefined;
    const deviceCode = randomBytes(32).toString('base64url');
    const userCode = this.#newUserCode();
    const grant: KeptGrant = {
      ...{ userCode, clientName, address, expiresAtMs: this.#now() + loginMs, release },
      ...{ state: 'pending', approval: undefined, intervalSeconds: pollSeconds, polledAtMs: 0 },
    };
    this.#byDevice.set(digest(deviceCode), grant);
    this.#byUser.set(userCode, grant);
    return { ...grant, deviceCode };
  }

  /** The login that waits for a decision under this code, as people type it. */
  pending(typed: string): Grant | undefined {
    const grant = this.#byUser.get(normalUserCode(typed) ?? '');
    return grant?.state === 'pending' && grant.expiresAtMs > this.#now() ? grant : undefined;
  }

  /** Takes the decision for one person; false when another is at it, or it is made. Then approve, refuse or release it. */
  claim(grant: Grant): boolean {
    const kept = this.#byUser.get(grant.userCode);
    if (kept !== grant || kept.state !== 'pending') return false;
    kept.state = 'claimed';
    return true;
  }

  /** `approval`: the decision, `refused` for no, undefined for none yet. */
  settle(grant: Grant, approval: Approval | 'refused' | undefined): void {
    const kept = this.#byUser.get(grant.userCode);
    if (kept !== grant || kept.state !== 'claimed') return;
    if (approval === undefined) kept.state = 'pending';
    else if (approval === 'refused') kept.state = 'refused';
    else {
      kept.state = 'approved';
      kept.approval = approval;
    }
  }

  /** The program asks. A decision is told once: then the device code is good no more. */
  poll(deviceCode: string): Poll {
    const key = digest(deviceCode);
    const grant = this.#byDevice.get(key);
    if (grant === undefined) return { kind: 'unknown' };
    const now = this.#now();
    if (grant.expiresAtMs <= now) {
      this.#forget(key, grant);
      return { kind: 'expired' };
    }
    // A tenth early is the clock's, or the network's.
    const tooSoon = now - grant.polledAtMs < grant.intervalSeconds * 900;
    grant.polledAtMs = now;
    if (tooSoon) {
      grant.intervalSeconds += slowDownSeconds;
      return { kind: 'slow-down' };
    }
    if (grant.state === 'pending' || grant.state === 'claimed') return { kind: 'pending' };
    this.#forget(key, grant);
    return grant.approval === undefined ? { kind: 'refused' } : { kind: 'approved', grant, approval: grant.approval };
  }

  #newUserCode(): string {
    for (;;) {
      const letters = Array.from(
        { length: userCodeLength },
        () => userCodeAlphabet[randomInt(userCodeAlphabet.length)],
      );
      const code = formatUserCode(letters.join(''));
      if (!this.#byUser.has(code)) return code;
    }
  }

  #forgetExpired(): void {
    for (const [key, grant] of this.#byDevice) {
      if (grant.expiresAtMs > this.#now()) return;
      this.#forget(key, grant);
    }
  }

  #forget(key: string, grant: KeptGrant): void {
    this.#byDevice.delete(key);
    this.#byUser.delete(grant.userCode);
    grant.release();
  }
}

/** The code as it is kept; undefined for what can be none. Case and punctuation do not matter. */
export function normalUserCode(typed: string): string | undefined {
  const letters = typed.toUpperCase().replace(/[^A-Z]/g, '');
  const isCode = letters.length === userCodeLength && [...letters].every(one => userCodeAlphabet.includes(one));
  return isCode ? formatUserCode(letters) : undefined;
}

function formatUserCode(letters: string): string {
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

function digest(code: string): string {
  return createHash('sha256').update(code).digest('base64');
}
