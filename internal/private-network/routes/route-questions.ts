// Questions about routes by prefix, answered from a list of them: where a block of addresses leads, and which routes overlap.
// Blocks of addresses (RFC 4632 §3.1) nest or are apart, which is what makes both quick.

import { formatPrefix, maskAddress, type Prefix, parsePrefix, prefixCovers } from '../../net/address/prefix.ts';

/** A route as it is listed; whatever else it has comes along. */
export interface AskedRoute {
  /** CIDR text. */
  readonly network?: string | undefined;
  readonly virtual_network_id?: string | undefined;
}

/** Where a block leads in one virtual network. */
export interface BlockAnswer<R> {
  readonly networkId: string;
  /** The route that the block takes as a whole, but for what `inside` takes. */
  readonly covering: R | undefined;
  /** Routes of parts of it, in the order of their addresses. */
  readonly inside: readonly R[];
  /** CIDR texts of what no route leads anywhere. */
  readonly uncovered: readonly string[];
}

export interface Overlap<R> {
  readonly outer: R;
  /** It lies in `outer`, or is the same block in another virtual network. */
  readonly inner: R;
}

interface Placed<R> {
  readonly route: R;
  readonly prefix: Prefix;
}

/** For each virtual network that has a route into the block; routes without a network count as those of one. */
export function explainBlock<R extends AskedRoute>(block: Prefix, routes: readonly R[]): readonly BlockAnswer<R>[] {
  const touching = placed(routes).filter(
    ({ prefix }) => prefixCovers(prefix, block) || (prefixCovers(block, prefix) && block.bits < prefix.bits),
  );
  return [...Map.groupBy(touching, ({ route }) => route.virtual_network_id ?? '')].map(([networkId, mine]) => {
    // In their order a wider block stands before those in it: the last that covers is the narrowest.
    const covering = mine.findLast(({ prefix }) => prefixCovers(prefix, block));
    const inside = mine.filter(({ prefix }) => !prefixCovers(prefix, block));
    return {
      networkId,
      covering: covering?.route,
      inside: inside.map(({ route }) => route),
      uncovered:
        covering === undefined
          ? without(
              block,
              inside.map(({ prefix }) => prefix),
            ).map(formatPrefix)
          : [],
    };
  });
}

/** All pairs, by the addresses of the inner one. */
export function findOverlaps<R extends AskedRoute>(routes: readonly R[]): readonly Overlap<R>[] {
  const overlaps: Overlap<R>[] = [];
  /** Each lies in the one before. */
  const around: Placed<R>[] = [];
  for (const inner of placed(routes)) {
    while (around.length > 0 && !prefixCovers(around.at(-1)?.prefix ?? inner.prefix, inner.prefix)) around.pop();
    for (const outer of around) overlaps.push({ outer: outer.route, inner: inner.route });
    around.push(inner);
  }
  return overlaps;
}

/** By address, a wider block before those in it; what is no block is left out. */
function placed<R extends AskedRoute>(routes: readonly R[]): readonly Placed<R>[] {
  return routes
    .flatMap(route => {
      const prefix = parsePrefix(route.network ?? '');
      return prefix === undefined ? [] : [{ route, prefix }];
    })
    .toSorted(
      ({ prefix: a }, { prefix: b }) =>
        a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes) || a.bits - b.bits,
    );
}

/** What is left of a block without these, as few blocks as there can be. */
function without(block: Prefix, taken: readonly Prefix[]): Prefix[] {
  const inside = taken.filter(one => prefixCovers(block, one) || prefixCovers(one, block));
  if (inside.length === 0) return [block];
  if (inside.some(one => prefixCovers(one, block))) return [];
  const bits = block.bits + 1;
  const upper = maskAddress(block.bytes, bits);
  upper[block.bits >> 3] = (upper[block.bits >> 3] ?? 0) | (0x80 >> (block.bits & 7));
  return [
    { bytes: block.bytes, bits },
    { bytes: upper, bits },
  ].flatMap(half => without(half, inside));
}
