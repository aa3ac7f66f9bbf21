// The account of this edge at an authority: its key is made once, kept sealed in the store, and shared by every order.

import { webcrypto } from 'node:crypto';
import { isPosternError } from '../../errors/error.ts';
import type { Store } from '../../store/contract/store.ts';
import type { SecretBox } from '../../store/secret-box.ts';
import { type AcmeAuthority, AcmeClient, createAccountKey } from './acme-client.ts';

export interface AcmeAccountOptions {
  readonly authority: AcmeAuthority;
  readonly store: Pick<Store, 'certificates'>;
  readonly secrets: SecretBox;
  readonly now: () => number;
}

interface Opened {
  readonly key: webcrypto.CryptoKeyPair;
  readonly url: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const accountPurpose = 'authority account key';

export class AcmeAccount {
  readonly #options: AcmeAccountOptions;
  #opened: Promise<Opened> | undefined;

  constructor(options: AcmeAccountOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` with a client of the account, which is made on first use. An authority that has forgotten the account gets a
   * new one. Throws what `work` throws, 'certificate.failed' and 'store.failed'.
   */
  async with<T>(signal: AbortSignal, work: (client: AcmeClient) => Promise<T>): Promise<T> {
    try {
      return await work(this.#client(await this.#open(signal), signal));
    } catch (error) {
      if (!isPosternError(error) || error.details?.type !== 'urn:ietf:params:acme:error:accountDoesNotExist')
        throw error;
      this.#opened = this.#create(signal);
      return work(this.#client(await this.#opened, signal));
    }
  }

  #client({ key, url }: Opened, signal: AbortSignal): AcmeClient {
    const { authority, now } = this.#options;
    return new AcmeClient(authority, key, { signal, accountUrl: url, now });
  }

  #open(signal: AbortSignal): Promise<Opened> {
    const opening = this.#opened ?? this.#read().then(known => known ?? this.#create(signal));
    this.#opened = opening;
    opening.catch(() => {
      if (this.#opened === opening) this.#opened = undefined;
    });
    return opening;
  }

  async #read(): Promise<Opened | undefined> {
    const { authority, secrets, store } = this.#options;
    const known = await store.certificates.account(authority.directoryUrl);
    if (known === undefined) return undefined;
    const pkcs8 = secrets.decrypt(accountPurpose, authority.directoryUrl, known.sealedKey);
    const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8 as Uint8Array<ArrayBuffer>, algorithm, true, [
      'sign',
    ]);
    const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey);
    const publicJwk = { kty, crv, x, y } as webcrypto.JsonWebKey;
    const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, algorithm, true, ['verify']);
    return { key: { privateKey, publicKey }, url: known.url };
  }

  async #create(signal: AbortSignal): Promise<Opened> {
    const { authority, now, secrets, store } = this.#options;
    const key = await createAccountKey();
    const url = await new AcmeClient(authority, key, { signal, now }).account();
    const pkcs8 = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', key.privateKey));
    const sealedKey = secrets.encrypt(accountPurpose, authority.directoryUrl, pkcs8);
    await store.certificates.setAccount({ authority: authority.directoryUrl, url, sealedKey });
    return { key, url };
  }
}
