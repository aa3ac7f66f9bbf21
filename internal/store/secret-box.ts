// Tunnel secrets and API tokens at rest. A secret is kept as salted SHA-256 (at least 32 random bytes need no slow hash)
// for registrations, and encrypted with AES-256-GCM under the edge's key for the one call that must show it again, the
// token endpoint (docs/protocol/commands-and-api.md §9.3). The key is a 0600 file of its own, so a copy of the database
// tells nothing.
//
//   hash   = salt(16) ‖ SHA-256(salt ‖ secret)(32)
//   sealed = nonce(12) ‖ ciphertext ‖ tag(16), associated data = the tunnel id's text
//
// The private keys of certificates are sealed in the same form, each purpose under a key of its own.

import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { readOrCreatePrivateFile } from '../credentials/private-file.ts';
import { PosternError } from '../errors/error.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { StoredSecret } from './contract/records.ts';

const saltBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

export interface SecretBox {
  /** The stored form of a tunnel's secret. */
  seal(tunnelId: TunnelId, secret: Uint8Array): StoredSecret;
  /** The secret again. `store.failed` when it was sealed under another key or for another tunnel. */
  open(tunnelId: TunnelId, stored: StoredSecret): Uint8Array;
  /** Bytes encrypted for one purpose, such as `certificate`, under a label that is not secret, such as a name. */
  encrypt(purpose: string, label: string, bytes: Uint8Array): Uint8Array;
  /** The bytes again. `store.failed` when the key, the purpose or the label is another. */
  decrypt(purpose: string, label: string, sealed: Uint8Array): Uint8Array;
  /** A key of 32 bytes for one purpose, the same on every edge of the state; tells nothing of the others. */
  keyFor(purpose: string): Uint8Array;
}

/** `key`: 32 bytes. */
export function createSecretBox(key: Uint8Array): SecretBox {
  const keyFor = (purpose: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', key, '', `postern ${purpose}`, keyBytes));
  return {
    seal(tunnelId, secret) {
      const salt = randomBytes(saltBytes);
      const hash = Buffer.concat([salt, digest(salt, secret)]);
      return { hash, sealed: encrypt(key, tunnelId, secret) };
    },
    open(tunnelId, { sealed }) {
      try {
        return decrypt(key, tunnelId, sealed);
      } catch (cause) {
        throw new PosternError(
          'store.failed',
          `The secret of tunnel ${tunnelId} cannot be opened: secret.key is not the one it was stored with`,
          { cause },
        );
      }
    },
    encrypt: (purpose, label, bytes) => encrypt(keyFor(purpose), label, bytes),
    decrypt(purpose, label, sealed) {
      try {
        return decrypt(keyFor(purpose), label, sealed);
      } catch (cause) {
        throw new PosternError(
          'store.failed',
          `The ${purpose} of ${label} cannot be opened: secret.key is not the one it was stored with`,
          { cause },
        );
      }
    },
    keyFor,
  };
}

function encrypt(key: Uint8Array, label: string, bytes: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(label));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Throws Node's error when the key or the label is another. */
function decrypt(key: Uint8Array, label: string, sealed: Uint8Array): Uint8Array {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(label));
  decipher.setAuthTag(sealed.subarray(sealed.byteLength - tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, sealed.byteLength - tagBytes)), decipher.final()]);
}

/** The box whose key is `<stateDir>/secret.key`, made on first use (0600). */
export async function openSecretBox(stateDir: string): Promise<SecretBox> {
  const path = join(stateDir, 'secret.key');
  const text = await readOrCreatePrivateFile(path, () => `${randomBytes(keyBytes).toString('base64')}\n`);
  const key = Buffer.from(text.trim(), 'base64');
  if (key.byteLength !== keyBytes) {
    throw new PosternError('store.failed', `${path} must hold ${keyBytes} bytes in base64, it holds ${key.byteLength}`);
  }
  return createSecretBox(key);
}

/** Whether `secret` is the one behind `hash`; takes the same time wherever they differ. */
export function matchesSecret(secret: Uint8Array, hash: Uint8Array): boolean {
  const salt = hash.subarray(0, saltBytes);
  const expected = hash.subarray(saltBytes);
  const actual = digest(salt, secret);
  return expected.byteLength === actual.byteLength && timingSafeEqual(expected, actual);
}

/** A new API token: 40 characters, 240 random bits. */
export function createApiToken(): string {
  return randomBytes(30).toString('base64url');
}

/** What is stored of an API token. */
export function digestApiToken(token: string): Uint8Array {
  return createHash('sha256').update(token).digest();
}

function digest(salt: Uint8Array, secret: Uint8Array): Buffer {
  return createHash('sha256').update(salt).update(secret).digest();
}
