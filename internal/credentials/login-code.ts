// Login codes: what an operator hands to a user, who shows it once in place of an API token. 100 random bits in the alphabet
// of Crockford's base 32, in groups of four, so that they can be read aloud.

import { createHash, randomBytes } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const characters = 20;

/** `7K2M-…`, five groups of four. */
export function createLoginCode(): string {
  const bytes = randomBytes(characters);
  const text = [...bytes].map(byte => alphabet[byte & 31]).join('');
  return (text.match(/.{4}/g) ?? []).join('-');
}

/** What is stored of a code; undefined for a text that can be none. Case, spaces, hyphens and look-alikes do not matter. */
export function digestLoginCode(text: string): Uint8Array | undefined {
  const plain = text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  if (plain.length !== characters || [...plain].some(character => !alphabet.includes(character))) return undefined;
  return createHash('sha256').update(plain).digest();
}
