// Who may use an on-ramp, and in which virtual network: the user name chooses the network (`vnet` or `vnet+account`), the
// password is an API token of the account. Source: issue "private networks" points 5 and 6.

import { timingSafeEqual } from 'node:crypto';
import { PosternError } from '../errors/error.ts';
import { countedAddress, createRateLimiter, type RateLimiter } from '../net/limits/rate-limiter.ts';
import { networkNamed } from '../private-network/routes/network-named.ts';
import type { RouteTable } from '../private-network/routes/route-table.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import { digestApiToken } from '../store/secret-box.ts';

export interface Credentials {
  readonly user: string;
  /** Never logged. */
  readonly password: string;
}

export interface AdmissionOptions {
  readonly store: Store;
  readonly routes: RouteTable;
  /** Account whose networks are open to everyone who can connect; undefined = credentials are needed. */
  readonly openAccountTag?: string | undefined;
  readonly now?: () => number;
}

/** Wrong credentials an address may show, as for the API: guessing is hopeless anyway, this keeps it cheap for us. */
const refusalLimits = { burst: 20, perSecond: 0.2 };
/** No token of ours is longer. */
const maxTokenLength = 512;

export class Admission {
  /**
   * Visitors who were not admitted: wrong credentials, more of them than an address may show, and connections cut because
   * too many of their address had said nothing yet. Only rise.
   */
  readonly refused = { credentials: 0, rate: 0, connections: 0 };
  readonly #options: AdmissionOptions;
  readonly #refusals: RateLimiter;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#refusals = createRateLimiter({
      ...refusalLimits,
      ...(options.now === undefined ? {} : { now: options.now }),
    });
  }

  /** Whether a visitor without credentials is admitted, to the open account's default network. */
  get isOpen(): boolean {
    return this.#options.openAccountTag !== undefined;
  }

  /**
   * The network that a visitor may use. Throws 'credentials.refused' for anything wrong, without saying what, and
   * 'api.rate-limited' when the address has shown too much of it.
   */
  async admit(credentials: Credentials | undefined, address: string): Promise<NetworkRecord> {
    const network = await this.#find(credentials);
    if (network !== undefined) return network;
    if (!this.#refusals.take(countedAddress(address))) {
      this.refused.rate += 1;
      throw new PosternError('api.rate-limited', 'Too many wrong credentials from this address');
    }
    this.refused.credentials += 1;
    throw new PosternError(
      'credentials.refused',
      'The user name must name a virtual network of the API token’s account',
    );
  }

  async #find(credentials: Credentials | undefined): Promise<NetworkRecord | undefined> {
    const { openAccountTag } = this.#options;
    if (credentials === undefined)
      return openAccountTag === undefined ? undefined : this.#options.routes.networkOf(openAccountTag);
    const tokenAccount = await this.#accountOf(credentials.password);
    const accountTag = tokenAccount ?? openAccountTag;
    return accountTag === undefined ? undefined : this.#networkOf(accountTag, credentials.user);
  }

  /** The account of an API token. */
  async #accountOf(token: string): Promise<string | undefined> {
    if (token === '' || token.length > maxTokenLength) return undefined;
    const digest = digestApiToken(token);
    const found = await this.#options.store.accounts.tokenByDigest(digest);
    return found !== undefined && timingSafeEqual(found.digest, digest) ? found.accountTag : undefined;
  }

  /** `vnet`, by name or id, or `vnet+account` where the account (name or tag) must be this one. A name may hold a `+`. */
  async #networkOf(accountTag: string, user: string): Promise<NetworkRecord | undefined> {
    const plain = this.#networkNamed(accountTag, user);
    const plus = user.lastIndexOf('+');
    if (plain !== undefined || plus < 0) return plain;
    const account = user.slice(plus + 1);
    const tag = account === accountTag ? account : (await this.#options.store.accounts.byName(account))?.tag;
    return tag === accountTag ? this.#networkNamed(accountTag, user.slice(0, plus)) : undefined;
  }

  /** The default network where none is named. */
  #networkNamed(accountTag: string, name: string): NetworkRecord | undefined {
    const { routes } = this.#options;
    if (name === '') return routes.networkOf(accountTag);
    return networkNamed(routes, accountTag, name);
  }
}
