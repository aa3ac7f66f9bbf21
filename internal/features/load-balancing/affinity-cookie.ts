// The cookie by which a visitor comes back to the same member and connector. It names both by digests, tells when it ends,
// and is signed with a key of the edge's state, so that it holds over restarts and on every edge of that state.
//
//   value = base64url( end(4, seconds since the epoch) ‖ member(8) ‖ connector(8) ‖ HMAC-SHA256 of balancer id and these(16) )

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { HeaderList } from '../../net/http/header-list.ts';
import type { BalancerDocument } from '../../schema/api/load-balancing.ts';

/** Known from the public service: scripts that keep it go on working. */
export const affinityCookieName = '__cflb';

const signedBytes = 20;
const macBytes = 16;
const valueLength = ((signedBytes + macBytes) / 3) * 4;
/** A visitor may send many cookies of that name; only so many are looked at, since each costs a digest. */
const maxCandidates = 4;

export interface Pinned {
  /** Key of the member. */
  readonly member: string;
  /** `connectorTag` of the connector. */
  readonly connector: string;
}

/** 16 hex digits; all zero where there is no connector. */
export function connectorTag(clientId: string): string {
  return clientId === '' ? '0'.repeat(16) : clientId.replaceAll('-', '').slice(0, 16).toLowerCase();
}

export class AffinityCookies {
  readonly #key: Uint8Array;
  readonly #now: () => number;

  /** @param now wall clock in milliseconds: cookies outlive the edge */
  constructor(key: Uint8Array, now: () => number) {
    this.#key = key;
    this.#now = now;
  }

  /** Whom the visitor's cookie names; undefined without one that is ours, whole and not over. */
  read(balancerId: string, headers: HeaderList): Pinned | undefined {
    let left = maxCandidates;
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const name = headers[index] ?? '';
      if (name.length !== 6 || name.toLowerCase() !== 'cookie') continue;
      for (const value of cookieValues(headers[index + 1] ?? '', affinityCookieName)) {
        const pinned = this.#open(balancerId, value);
        left -= 1;
        if (pinned !== undefined || left === 0) return pinned;
      }
    }
    return undefined;
  }

  /** The `Set-Cookie` for a visitor that came by `scheme`. */
  write(balancerId: string, pinned: Pinned, scheme: 'http' | 'https', document: BalancerDocument): string {
    const { session_affinity_ttl: ttl, session_affinity_attributes: attributes } = document;
    const signed = Buffer.alloc(signedBytes);
    signed.writeUInt32BE(Math.floor(this.#now() / 1000) + ttl, 0);
    signed.write(pinned.member, 4, 'hex');
    signed.write(pinned.connector, 12, 'hex');
    const value = Buffer.concat([signed, this.#mac(balancerId, signed)]).toString('base64url');
    const isSecure = attributes.secure === 'Always' || (attributes.secure === 'Auto' && scheme === 'https');
    const asked = attributes.samesite === 'Auto' ? 'Lax' : attributes.samesite;
    // Browsers drop a cookie that is for every site and not secure.
    const sameSite = asked === 'None' && !isSecure ? 'Lax' : asked;
    const secure = isSecure ? '; Secure' : '';
    return `${affinityCookieName}=${value}; Path=/; Max-Age=${ttl}; HttpOnly; SameSite=${sameSite}${secure}`;
  }

  #open(balancerId: string, value: string): Pinned | undefined {
    if (value.length !== valueLength) return undefined;
    const bytes = Buffer.from(value, 'base64url');
    if (bytes.byteLength !== signedBytes + macBytes) return undefined;
    const signed = bytes.subarray(0, signedBytes);
    if (!timingSafeEqual(this.#mac(balancerId, signed), bytes.subarray(signedBytes))) return undefined;
    if (signed.readUInt32BE(0) * 1000 <= this.#now()) return undefined;
    return { member: signed.toString('hex', 4, 12), connector: signed.toString('hex', 12, 20) };
  }

  #mac(balancerId: string, signed: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(balancerId).update(signed).digest().subarray(0, macBytes);
  }
}

/** The values of the cookies of that name in one `Cookie` header. */
export function* cookieValues(header: string, name: string): Generator<string> {
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) yield part.slice(equals + 1).trim();
  }
}
