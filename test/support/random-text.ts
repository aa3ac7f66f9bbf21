// Random texts and lists for tests that compare codecs, from seeded-random.ts.

import type { SeededRandom } from './seeded-random.ts';

/** Printable ASCII, and now and then characters of two, three and four UTF-8 bytes (never Latin-1 ones alone). */
export function randomText(random: SeededRandom, maxLength: number, onlyAscii = false): string {
  const length = random.below(maxLength + 1);
  let text = '';
  for (let index = 0; index < length; index += 1) text += String.fromCharCode(0x20 + random.below(0x5f));
  if (onlyAscii || random.below(8) !== 0) return text;
  return `${text}${['€', '€ü', '語', '🚇'][random.below(4)]}`;
}

/** A header name. */
export function randomToken(random: SeededRandom): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';
  let token = '';
  for (let index = random.below(20) + 1; index > 0; index -= 1) token += letters.charAt(random.below(letters.length));
  return token;
}

export function pick<T>(random: SeededRandom, items: readonly [T, ...T[]]): T {
  return items[random.below(items.length)] ?? items[0];
}
