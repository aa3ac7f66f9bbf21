// Talks to an ACME authority: signed requests, nonces and the account. What is ordered is request-certificate.ts. Source:
// RFC 8555 §6 and §7.3.

import { webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK, type JWSHeaderParameters } from 'jose';
import type * as z from 'zod';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import { requestWeb, type WebAnswer } from '../../net/http/web-request.ts';
import { systemRoots } from '../../net/trust/system-roots.ts';
import { type Directory, directorySchema, problemSchema } from './documents.ts';

/** Ties the account to one that the authority knows from elsewhere. Source: RFC 8555 §7.3.4. */
export interface ExternalAccount {
  readonly keyId: string;
  readonly macKey: Uint8Array;
}

export interface AcmeAuthority {
  readonly directoryUrl: string;
  /** A CA that the authority's own server is trusted by, beside the system's. */
  readonly caPem?: string | undefined;
  /** Mail address, such as `you@example.com`. */
  readonly contact: string;
  readonly external?: ExternalAccount | undefined;
}

export interface SignedAnswer {
  readonly status: number;
  /** Where what was made is. */
  readonly location: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly text: string;
}

/** One exchange; a slow authority answers in seconds. */
const requestTimeoutMs = 30_000;
/** Documents are some hundred bytes, a chain some 6 KiB. */
const maxAnswerBytes = 256 * 1024;
/** An authority that refuses every second nonce is had by this many with one in a thousand left. */
const maxNonceTries = 10;
const maxNonces = 8;
/** Longest that an authority may ask to wait. */
const maxRetryAfterMs = 86_400_000;

export class AcmeClient {
  readonly #authority: AcmeAuthority;
  readonly #key: webcrypto.CryptoKeyPair;
  readonly #signal: AbortSignal;
  readonly #now: () => number;
  /** Unused nonces of earlier answers. */
  readonly #nonces: string[] = [];
  #directory: Promise<Directory> | undefined;
  #account: Promise<string> | undefined;

  /**
   * @param key of the account, ECDSA P-256
   * @param options `signal` ends what runs; `accountUrl` is that of an account made before
   */
  constructor(
    authority: AcmeAuthority,
    key: webcrypto.CryptoKeyPair,
    options: { readonly signal: AbortSignal; readonly accountUrl?: string | undefined; readonly now: () => number },
  ) {
    this.#authority = authority;
    this.#key = key;
    this.#signal = options.signal;
    this.#now = options.now;
    if (options.accountUrl !== undefined) this.#account = Promise.resolve(options.accountUrl);
  }

  /** Fetched once. Throws 'certificate.failed'. */
  directory(): Promise<Directory> {
    this.#directory ??= this.#readDirectory();
    // What failed is asked for again the next time.
    this.#directory.catch(() => {
      this.#directory = undefined;
    });
    return this.#directory;
  }

  /** URL of the account, made on first use. Agrees to the terms of service, as the operator who named the authority did. */
  account(): Promise<string> {
    this.#account ??= this.#openAccount();
    this.#account.catch(() => {
      this.#account = undefined;
    });
    return this.#account;
  }

  /** What answers a challenge with `token`. Source: RFC 8555 §8.1. */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${await calculateJwkThumbprint(await this.#publicJwk())}`;
  }

  /** Sends a document, or nothing to read (POST-as-GET). Throws 'certificate.failed'; `details` has the problem's type. */
  async post(url: string, payload?: object): Promise<SignedAnswer> {
    return this.#signed(url, payload, { kid: await this.account() });
  }

  /** As `post`, with the answer as a document. */
  async fetch<T>(schema: z.ZodType<T>, url: string, payload?: object): Promise<SignedAnswer & { readonly body: T }> {
    const answer = await this.post(url, payload);
    return { ...answer, body: parse(schema, answer.text, url) };
  }

  /** Without a signature, as for renewal information. */
  async get<T>(schema: z.ZodType<T>, url: string): Promise<SignedAnswer & { readonly body: T }> {
    const answer = await this.#send(url, 'GET');
    if (answer.status !== 200) throw problemOf(answer, url, this.#now());
    return { ...toSigned(answer, this.#now()), body: parse(schema, answer.text, url) };
  }

  async #readDirectory(): Promise<Directory> {
    return (await this.get(directorySchema, this.#authority.directoryUrl)).body;
  }

  async #openAccount(): Promise<string> {
    const { newAccount, meta } = await this.directory();
    const { contact, external } = this.#authority;
    if (meta?.externalAccountRequired === true && external === undefined)
      throw new PosternError(
        'certificate.failed',
        `${this.#authority.directoryUrl} wants an external account: give its key id and key with --acme-eab-file`,
      );
    const jwk = await this.#publicJwk();
    const binding = external && { externalAccountBinding: await bindExternal(external, jwk, newAccount) };
    const payload = { termsOfServiceAgreed: true, contact: [`mailto:${contact}`], ...binding };
    const { location } = await this.#signed(newAccount, payload, { jwk });
    if (location === undefined) throw new PosternError('certificate.failed', `${newAccount} named no account`);
    return requireHttps(location);
  }

  async #signed(url: string, payload: object | undefined, who: { kid: string } | { jwk: JWK }): Promise<SignedAnswer> {
    for (let tries = 1; ; tries += 1) {
      const header = { alg: 'ES256', nonce: await this.#takeNonce(), url, ...who } as JWSHeaderParameters;
      const text = payload === undefined ? '' : JSON.stringify(payload);
      const jws = await new FlattenedSign(Buffer.from(text)).setProtectedHeader(header).sign(this.#key.privateKey);
      const answer = await this.#send(url, 'POST', JSON.stringify(jws));
      if (answer.status >= 200 && answer.status < 300) return toSigned(answer, this.#now());
      const problem = problemOf(answer, url, this.#now());
      if (problem.details?.type !== badNonce || tries === maxNonceTries) throw problem;
    }
  }

  async #takeNonce(): Promise<string> {
    const known = this.#nonces.pop();
    if (known !== undefined) return known;
    const { newNonce } = await this.directory();
    await this.#send(newNonce, 'HEAD');
    const nonce = this.#nonces.pop();
    if (nonce === undefined) throw new PosternError('certificate.failed', `${newNonce} gave no nonce`);
    return nonce;
  }

  async #send(url: string, method: 'GET' | 'HEAD' | 'POST', body?: string): Promise<WebAnswer> {
    const { caPem } = this.#authority;
    requireHttps(url);
    try {
      const answer = await requestWeb({
        url,
        method,
        headers: {
          'user-agent': 'postern',
          ...(body === undefined ? {} : { 'content-type': 'application/jose+json' }),
        },
        body,
        ca: caPem === undefined ? undefined : [...systemRoots(), caPem],
        signal: AbortSignal.any([this.#signal, AbortSignal.timeout(requestTimeoutMs)]),
        maxBytes: maxAnswerBytes,
      });
      this.#keepNonce(answer.headers['replay-nonce']);
      return answer;
    } catch (cause) {
      if (isPosternError(cause)) throw cause;
      throw new PosternError('certificate.failed', `The authority did not answer at ${url}`, { cause });
    }
  }

  #keepNonce(nonce: string | string[] | undefined): void {
    if (typeof nonce !== 'string' || !/^[A-Za-z0-9_-]{1,512}$/.test(nonce)) return;
    this.#nonces.push(nonce);
    // Nonces age: the oldest goes.
    if (this.#nonces.length > maxNonces) this.#nonces.shift();
  }

  async #publicJwk(): Promise<JWK> {
    const { kty, crv, x, y } = await exportJWK(this.#key.publicKey);
    return { kty, crv, x, y } as JWK;
  }
}

const badNonce = 'urn:ietf:params:acme:error:badNonce';

/** A new key of an account. */
export function createAccountKey(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
}

async function bindExternal({ keyId, macKey }: ExternalAccount, jwk: JWK, url: string): Promise<object> {
  const header = { alg: 'HS256', kid: keyId, url } as JWSHeaderParameters;
  return new FlattenedSign(Buffer.from(JSON.stringify(jwk))).setProtectedHeader(header).sign(macKey);
}

/** The key authorizations and the account's name travel: an authority cannot lead us to the clear. */
function requireHttps(url: string): string {
  if (URL.parse(url)?.protocol === 'https:') return url;
  throw new PosternError('certificate.failed', `The authority is at ${JSON.stringify(url)}, which is no https:// URL`);
}

function parse<T>(schema: z.ZodType<T>, text: string, url: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new PosternError('certificate.failed', `The authority's answer from ${url} makes no sense`, {
      cause: new Error(describeError(cause).slice(0, 500)),
    });
  }
}

function toSigned(answer: WebAnswer, nowMs: number): SignedAnswer {
  const { location } = answer.headers;
  return { status: answer.status, location, retryAfterMs: readRetryAfter(answer, nowMs), text: answer.text };
}

function problemOf(answer: WebAnswer, url: string, nowMs: number): PosternError {
  let type: string | undefined;
  let detail = answer.text.slice(0, 200);
  try {
    const problem = problemSchema.parse(JSON.parse(answer.text));
    type = problem.type;
    detail = describeProblem(problem);
  } catch {
    // Not a problem document: its first words say what it is.
  }
  return new PosternError('certificate.failed', `The authority refused ${url} (status ${answer.status}): ${detail}`, {
    details: { type, retryAfterMs: readRetryAfter(answer, nowMs) },
  });
}

/** One line of what the authority says is wrong. */
export function describeProblem(problem: z.infer<typeof problemSchema> | undefined): string {
  const type = problem?.type?.replace('urn:ietf:params:acme:error:', '');
  const text = [type, problem?.detail].filter(part => part !== undefined).join(': ');
  return text === '' ? 'it does not say why' : text.replace(/\s+/g, ' ').slice(0, 500);
}

/** Seconds or a date. Source: RFC 9110 §10.2.3. */
function readRetryAfter(answer: WebAnswer, nowMs: number): number | undefined {
  const given = answer.headers['retry-after'];
  if (given === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(given) ? Number(given) * 1_000 : Date.parse(given) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}
