// Texts with Ed25519 signatures. What is signed begins with the kind of the text, so that a signature of one kind never holds
// for another. Source: RFC 8032; the keys in the form of RFC 8037 §2.

import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** `signing-keys`: the keys that the roots vouch for. `releases`: what these keys vouch for. */
export type SignedKind = 'signing-keys' | 'releases';

export interface SignedText {
  readonly text: string;
  /** Base64url, one for each key that signed. */
  readonly signatures: readonly string[];
}

/** A public key: its 32 bytes in base64url. */
export type PublicKeyText = string;

/** `keys` are private. */
export function signText(kind: SignedKind, text: string, keys: readonly KeyObject[]): SignedText {
  const bytes = signedBytes(kind, text);
  return { text, signatures: keys.map(key => sign(null, bytes, key).toString('base64url')) };
}

/** Whether any of `keys` signed it. */
export function isSignedBy(
  kind: SignedKind,
  { text, signatures }: SignedText,
  keys: readonly PublicKeyText[],
): boolean {
  const bytes = signedBytes(kind, text);
  return keys.map(publicKeyOf).some(key => {
    return signatures.some(signature => verify(null, bytes, key, Buffer.from(signature, 'base64url')));
  });
}

/** The text of a public key, or of the public half of a private one. Throws TypeError when it is not of Ed25519. */
export function publicKeyText(key: KeyObject): PublicKeyText {
  const { crv, x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) throw new TypeError('The key is not of the kind Ed25519');
  return x;
}

function publicKeyOf(text: PublicKeyText): KeyObject {
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } });
}

function signedBytes(kind: SignedKind, text: string): Buffer {
  return Buffer.from(`postern ${kind}\n${text}`);
}
