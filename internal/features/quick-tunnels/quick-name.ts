// Names of quick tunnels: `calm-otter-lamp-42`, an adjective, an animal, a thing and a number.

import { randomInt } from 'node:crypto';
import { adjectives, animals, things } from './words.ts';

/** A name by chance; some 2.4 billion are possible. `pick(n)` gives an integer from 0 to below n. */
export function createQuickName(pick: (count: number) => number = count => randomInt(count)): string {
  const word = (list: readonly string[]): string => list[pick(list.length)] ?? '';
  return `${word(adjectives)}-${word(animals)}-${word(things)}-${10 + pick(90)}`;
}
