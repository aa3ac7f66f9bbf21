// What a call of the API is, before anybody serves or makes it. The calls that commands of ours use stand in routes.ts.

import type * as z from 'zod';
import type { ScopeResource } from '../schema/api/scopes.ts';

/**
 * Whose a call is: that of the account, or of the zone's account, that its path names; only a token of that account gets
 * through. `caller`: that of whoever's token it is, with any scope. `anyone`: no token is asked for.
 */
export type RouteOwner = 'account' | 'zone' | 'caller' | 'anyone';

export interface RouteDefinition {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the API's base URL, for calls of anyone below the server's root; parameters in braces. */
  readonly path: string;
  /** What the call does, for messages: `Failed to <op>: …`. */
  readonly op: string;
  readonly query: z.ZodType;
  readonly body: z.ZodType;
  /** Of one item where `paged`. */
  readonly result: z.ZodType;
  /** Whether the result is a list given page by page. */
  readonly paged: boolean;
  /** The result is a secret: reading it takes the right to write, and is audited. */
  readonly reveals?: boolean;
  /** What the call is about, where the table of route-scope.ts does not know its path: a feature's own. */
  readonly resource?: ScopeResource;
}

export interface ApiRoute extends RouteDefinition {
  readonly owner: RouteOwner;
}

/** Declares a call of an account: its path must name one, or a zone. Throws RangeError when it names neither. */
export function route<const R extends RouteDefinition>(definition: R): R & { readonly owner: 'account' | 'zone' } {
  for (const owner of ['account', 'zone'] as const)
    if (definition.path.split('/').includes(`{${owner}}`)) return { ...definition, owner };
  throw new RangeError(`The path ${definition.path} names neither {account} nor {zone}`);
}

/** Declares a call about the caller's own token. */
export function callerRoute<const R extends RouteDefinition>(definition: R): R & { readonly owner: 'caller' } {
  return { ...definition, owner: 'caller' };
}

/** Declares a call that anyone may make, without a token. */
export function openRoute<const R extends RouteDefinition>(definition: R): R & { readonly owner: 'anyone' } {
  return { ...definition, owner: 'anyone' };
}
