// Who calls, and whether the call is his: the one place that decides it for every call of the API.

import type { IncomingMessage } from 'node:http';
import type { ApiRoute } from '../api/route.ts';
import { scopeOf } from '../api/route-scope.ts';
import { createRateLimiter } from '../net/limits/rate-limiter.ts';
import { hasScope } from '../schema/api/scopes.ts';
import type { Store } from '../store/contract/store.ts';
import { TokenCheck } from '../store/token-check.ts';
import { apiProblem } from './api-problem.ts';
import type { Caller } from './handler-context.ts';

/** Wrong tokens an address may show: guessing 240 bits is hopeless anyway; this keeps the attempt cheap for us. */
export const refusalLimits = { burst: 20, perSecond: 0.2 };

export interface Authorization {
  /** Whose token the request has. Throws `api.unauthorized`, or `api.rate-limited` after many wrong ones of the address. */
  authenticate(request: IncomingMessage, address: string, route: ApiRoute | undefined): Promise<Caller>;
  /**
   * Throws `api.unauthorized` unless the path's account, or that of its zone, is the caller's own and the token has the
   * scope of the call.
   */
  authorize(route: ApiRoute, params: Readonly<Record<string, string>>, caller: Caller): Promise<void>;
}

export function createAuthorization({
  store,
  now,
}: {
  readonly store: Store;
  readonly now: () => number;
}): Authorization {
  const refusals = createRateLimiter({ ...refusalLimits, now });
  const tokens = new TokenCheck({ store, now });
  return {
    async authenticate(request, address, route) {
      const [, text] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? '') ?? [];
      const token = text === undefined ? undefined : await tokens.find(text);
      if (token !== undefined) return { accountTag: token.accountTag, address, token };
      if (!refusals.take(address)) throw apiProblem('rateLimited', 'Too many requests with a wrong API token');
      throw route?.owner === 'caller' ? apiProblem('invalidToken', 'Invalid API Token') : unauthorized();
    },
    async authorize(route, params, caller) {
      if (route.owner !== 'caller' && (await ownerOf(store, route, params)) !== caller.accountTag) throw unauthorized();
      const scope = scopeOf(route);
      if (scope !== undefined && !hasScope(caller.token.scopes, scope))
        throw apiProblem('forbidden', `The API token may not do that: it needs the scope ${scope}`);
    },
  };
}

async function ownerOf(
  store: Store,
  { owner }: ApiRoute,
  params: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  return owner === 'account' ? params.account : (await store.accounts.zone(params.zone ?? ''))?.accountTag;
}

function unauthorized(): Error {
  return apiProblem('unauthorized', 'Authentication error');
}
