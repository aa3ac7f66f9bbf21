// Finds the one thing that a person named, by id or by name, in a listing.

import { PosternError } from '../internal/errors/error.ts';

/** `what` for messages: `user`. Throws 'api.not-found', and 'api.conflict' when several have the name. */
export function findNamed<T extends { readonly id: string; readonly name: string }>(
  items: readonly T[],
  idOrName: string,
  what: string,
): T {
  const byId = items.find(({ id }) => id === idOrName);
  if (byId !== undefined) return byId;
  const [found, ...others] = items.filter(({ name }) => name === idOrName);
  if (found === undefined) {
    const text = `${JSON.stringify(idOrName)} is neither the ID nor the name of a ${what} of the account`;
    throw new PosternError('api.not-found', text);
  }
  if (others.length > 0) {
    const ids = [found, ...others].map(({ id }) => id).join(', ');
    throw new PosternError(
      'api.conflict',
      `Several have the name ${JSON.stringify(idOrName)}: name the ID of one, ${ids}`,
    );
  }
  return found;
}
