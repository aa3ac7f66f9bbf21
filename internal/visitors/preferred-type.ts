// Which of several media types a request's `Accept` prefers. Source: RFC 9110 §12.5.1.

/** Longest `Accept` that is read; browsers send some 150 bytes. */
const maxAcceptLength = 1_024;

/**
 * The type of `offered` with the highest weight; among equals the one that `accept` names first, and where it names none of
 * them, the first one offered. Types outside of `accept` are worth less than any in it; parameters other than `q` do not count.
 */
export function preferredType<Type extends string>(accept: string, offered: readonly [Type, ...Type[]]): Type {
  const ranges = accept.slice(0, maxAcceptLength).toLowerCase().split(',').map(parseRange);
  let best = offered[0];
  let bestWeight = 0;
  let bestAt = Number.POSITIVE_INFINITY;
  for (const type of offered) {
    const at = ranges.findIndex(({ range }) => range === type);
    const [group] = type.split('/');
    const matched =
      ranges[at] ?? ranges.find(({ range }) => range === `${group}/*`) ?? ranges.find(({ range }) => range === '*/*');
    const weight = matched?.weight ?? 0;
    const named = at === -1 ? Number.POSITIVE_INFINITY : at;
    if (weight < bestWeight || (weight === bestWeight && named >= bestAt) || weight === 0) continue;
    [best, bestWeight, bestAt] = [type, weight, named];
  }
  return best;
}

function parseRange(text: string): { readonly range: string; readonly weight: number } {
  const [range = '', ...parameters] = text.split(';').map(part => part.trim());
  const weight = parameters.find(part => part.startsWith('q='))?.slice(2);
  if (weight === undefined) return { range, weight: 1 };
  // A weight that is none counts as the lowest.
  return { range, weight: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0 };
}
