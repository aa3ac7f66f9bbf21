// How a call of the control-plane API is declared: method, path, owner, documents, and the words its errors use.

import type * as z from 'zod';

/**
 * Whose a call is: that of the account, or of the zone's account, that its path names; only a token of that account gets
 * through. `anyone`: no token is asked for.
 */
export type RouteOwner = 'account' | 'zone' | 'anyone';

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

/** Declares a call that anyone may make, without a token. */
export function openRoute<const R extends RouteDefinition>(definition: R): R & { readonly owner: 'anyone' } {
  return { ...definition, owner: 'anyone' };
}
