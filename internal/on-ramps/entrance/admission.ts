// Who may use an on-ramp, and in which virtual network: the user name chooses the network (`vnet` or `vnet+account`), the
// password is an API token of the account with the scope `connect`: a user's, a device's or a service's. Whoever came in is
// cut when that token is good no more.

import type { Socket } from 'node:net';
import { describeError, PosternError } from '../../errors/error.ts';
import { countedAddress, createRateLimiter, type RateLimiter } from '../../net/limits/rate-limiter.ts';
import { findNetwork } from '../../private-network/routes/find-network.ts';
import type { RouteTable } from '../../private-network/routes/route-table.ts';
import { hasScope } from '../../schema/api/scopes.ts';
import type { ApiTokenRecord, NetworkRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { TokenCheck } from '../../store/token-check.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { Guests } from './guests.ts';

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
  readonly logger: Logger;
  readonly now?: () => number;
  /** Hears that a token is good no more, before the sockets of its clients are destroyed. */
  readonly onEnd?: ((tokenId: string) => void) | undefined;
}

/** Who was admitted: where to, and with which token; without one where no credentials are needed. */
export interface Admitted {
  readonly network: NetworkRecord;
  readonly tokenId: string | undefined;
}

/** Wrong credentials an address may show, as for the API: guessing is hopeless anyway, this keeps it cheap for us. */
export const refusalLimits = { burst: 20, perSecond: 0.2 };
/** Refusals of an address that the log tells of: somebody guesses, or somebody mistyped and wonders. */
const refusalLines = { burst: 3, perSecond: 1 / 60 };
export class Admission implements Disposable {
  /**
   * Visitors who were not admitted: wrong credentials, more of them than an address may show, and connections cut because
   * too many of their address had said nothing yet. Only rise.
   */
  readonly refused = { credentials: 0, rate: 0, connections: 0 };
  readonly #options: AdmissionOptions;
  readonly #refusals: RateLimiter;
  readonly #lines: RateLimiter;
  readonly #tokens: TokenCheck;
  readonly #guests: Guests;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const clock = options.now === undefined ? {} : { now: options.now };
    this.#refusals = createRateLimiter({ ...refusalLimits, ...clock });
    this.#lines = createRateLimiter({ ...refusalLines, ...clock });
    const { store, logger, now = Date.now, onEnd = () => undefined } = options;
    this.#tokens = new TokenCheck({ store, now });
    const onError = (error: unknown): void =>
      logger.error({ error: describeError(error) }, 'Cannot look whether API tokens are still good');
    this.#guests = new Guests({ store, now, onEnd, onError });
  }

  /** Whether a visitor without credentials is admitted, to the open account's default network. */
  get isOpen(): boolean {
    return this.#options.openAccountTag !== undefined;
  }

  /**
   * The network that a visitor may use, whose socket is destroyed when the token is good no more. Throws
   * 'credentials.refused' for a wrong token or none, 'flow.denied' when the token is right and lacks the scope or its account
   * the network, and 'api.rate-limited' when the address has shown too many wrong tokens.
   */
  async admit(credentials: Credentials | undefined, socket: Socket): Promise<Admitted> {
    const address = countedAddress(socket.remoteAddress);
    const token = credentials === undefined ? undefined : await this.#tokenOf(credentials.password, socket);
    const accountTag = token?.accountTag ?? this.#options.openAccountTag;
    if (accountTag === undefined) throw this.#refusal(credentials, address);
    if (token !== undefined && !hasScope(token.scopes, 'connect')) {
      this.#tell(address, `the API token ${token.id} lacks the scope connect`);
      throw new PosternError('flow.denied', 'The API token lacks the scope connect');
    }
    const user = credentials?.user ?? '';
    const network = await this.#networkOf(accountTag, user);
    if (network !== undefined) return { network, tokenId: token?.id };
    // Whoever has the token may know.
    this.#tell(address, `there is no virtual network ${JSON.stringify(user.slice(0, 64))}`);
    throw new PosternError('flow.denied', `The account has no virtual network ${JSON.stringify(user)}`);
  }

  [Symbol.dispose](): void {
    this.#guests[Symbol.dispose]();
  }

  #refusal(credentials: Credentials | undefined, address: string): PosternError {
    if (!this.#refusals.take(address)) {
      this.refused.rate += 1;
      return new PosternError('api.rate-limited', 'Too many wrong credentials from this address');
    }
    this.refused.credentials += 1;
    this.#tell(address, credentials === undefined ? 'credentials are needed' : 'the password is no API token');
    return new PosternError(
      'credentials.refused',
      'The user name must name a virtual network, the password must be an API token',
    );
  }

  #tell(address: string, reason: string): void {
    if (this.#lines.take(address))
      this.#options.logger.warn({ src: address }, `A client of the private networks was refused: ${reason}`);
  }

  /** The token, from now on held for the client; undefined when there is none of that text. */
  async #tokenOf(text: string, socket: Socket): Promise<ApiTokenRecord | undefined> {
    for (;;) {
      const { resets } = this.#guests;
      const token = await this.#tokens.find(text);
      if (token === undefined || this.#guests.hold(token, socket, resets)) return token;
      // It changed while it was read: the next look will tell.
    }
  }

  /** `vnet`, by name or id, or `vnet+account` where the account (name or tag) must be this one. A name may hold a `+`. */
  async #networkOf(accountTag: string, user: string): Promise<NetworkRecord | undefined> {
    const plain = this.#findNetwork(accountTag, user);
    const plus = user.lastIndexOf('+');
    if (plain !== undefined || plus < 0) return plain;
    const account = user.slice(plus + 1);
    const tag = account === accountTag ? account : (await this.#options.store.accounts.byName(account))?.tag;
    return tag === accountTag ? this.#findNetwork(accountTag, user.slice(0, plus)) : undefined;
  }

  /** The default network where none is named. */
  #findNetwork(accountTag: string, name: string): NetworkRecord | undefined {
    const { routes } = this.#options;
    if (name === '') return routes.networkOf(accountTag);
    return findNetwork(routes, accountTag, name);
  }
}
