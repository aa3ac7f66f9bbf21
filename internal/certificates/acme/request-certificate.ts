// Orders one certificate: order, challenges, certificate request, download. Source: RFC 8555 §7.4 and §7.5.

import 'reflect-metadata';
import { createPrivateKey, X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PemConverter, Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { PosternError } from '../../errors/error.ts';
import type { AcmeClient, SignedAnswer } from './acme-client.ts';
import { describeProblem } from './acme-client.ts';
import { type Authorization, authorizationSchema, type Order, orderSchema } from './documents.ts';

/** Answers challenges of one kind. */
export interface Solver {
  readonly type: 'http-01' | 'tls-alpn-01' | 'dns-01';
  /** Whether it can answer for the name as things are now. */
  canSolve(name: string): boolean;
  /** Answers until the result is disposed of. `signal` ends what takes long. */
  present(name: string, token: string, keyAuthorization: string, signal: AbortSignal): Promise<AsyncDisposable>;
}

export interface CertificateRequest {
  /** Host names and wildcards, in lower case. */
  readonly names: readonly string[];
  /** In order of preference. */
  readonly solvers: readonly Solver[];
  /** Of the certificate that the new one takes the place of; see renewal-info.ts. */
  readonly replaces?: string | undefined;
  readonly signal: AbortSignal;
}

/** PEM texts. */
export interface ObtainedCertificate {
  readonly chain: string;
  readonly key: string;
}

/** First wait between two looks at an order; an authority may ask for longer. */
const firstPollMs = 250;
const longestPollMs = 10_000;

/** Throws 'certificate.failed', with what the authority said. */
export async function requestCertificate(
  client: AcmeClient,
  { names, solvers, replaces, signal }: CertificateRequest,
): Promise<ObtainedCertificate> {
  const { newOrder } = await client.directory();
  const identifiers = names.map(value => ({ type: 'dns', value }));
  const made = await client.fetch(orderSchema, newOrder, {
    identifiers,
    ...(replaces === undefined ? {} : { replaces }),
  });
  const orderUrl = made.location;
  if (orderUrl === undefined) throw new PosternError('certificate.failed', `${newOrder} named no order`);
  for (const url of made.body.authorizations) await authorize(client, url, { names, solvers, signal });
  const order = await poll(client, orderUrl, signal, ({ status }) => status !== 'pending');
  requireOrder(order);
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  if (order.status === 'ready') await client.post(order.finalize, { csr: await createCsr(names, keys) });
  const done = await poll(client, orderUrl, signal, ({ status }) => status === 'valid' || status === 'invalid');
  requireOrder(done);
  if (done.certificate === undefined)
    throw new PosternError('certificate.failed', `The order ${orderUrl} names no certificate`);
  const { text } = await client.post(done.certificate);
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { chain: requireChain(text, key, names), key };
}

/** Proves that a name is ours, by the first solver that can and that the authority offers. */
async function authorize(
  client: AcmeClient,
  url: string,
  { names, solvers, signal }: Pick<CertificateRequest, 'names' | 'solvers' | 'signal'>,
): Promise<void> {
  const { body } = await client.fetch(authorizationSchema, url);
  if (body.status === 'valid') return;
  // Of a wildcard the authority names what it stands below.
  const name = body.identifier.value.toLowerCase();
  if (!names.some(asked => asked.replace(/^\*\./, '') === name))
    throw new PosternError(
      'certificate.failed',
      `The authority asks about ${JSON.stringify(name)}, which was not ordered`,
    );
  for (const solver of solvers) {
    const challenge = body.challenges.find(({ type }) => type === solver.type);
    if (challenge?.token === undefined || !solver.canSolve(name)) continue;
    const { token } = challenge;
    await using _answer = await solver.present(name, token, await client.keyAuthorization(token), signal);
    await client.post(challenge.url, {});
    await pollAuthorization(client, url, signal, name);
    return;
  }
  const offered = body.challenges.map(({ type }) => type).join(', ');
  throw new PosternError(
    'certificate.failed',
    `The authority offers ${offered} for ${name}, and this edge can answer ${solvers.map(({ type }) => type).join(', ')} only`,
  );
}

async function pollAuthorization(client: AcmeClient, url: string, signal: AbortSignal, name: string): Promise<void> {
  const read = () => client.fetch(authorizationSchema, url);
  const done: Authorization = await untilDone(read, signal, ({ status }) => status !== 'pending');
  if (done.status === 'valid') return;
  const failed = done.challenges.find(({ error }) => error !== undefined);
  throw new PosternError(
    'certificate.failed',
    `${name} could not be proven to be served here (${failed?.type ?? done.status}): ${describeProblem(failed?.error)}`,
  );
}

function poll(client: AcmeClient, url: string, signal: AbortSignal, isDone: (order: Order) => boolean): Promise<Order> {
  return untilDone(() => client.fetch(orderSchema, url), signal, isDone);
}

async function untilDone<T>(
  read: () => Promise<SignedAnswer & { readonly body: T }>,
  signal: AbortSignal,
  isDone: (value: T) => boolean,
): Promise<T> {
  for (let waitMs = firstPollMs; ; waitMs = Math.min(waitMs * 2, longestPollMs)) {
    const { body, retryAfterMs = 0 } = await read();
    if (isDone(body)) return body;
    await sleep(Math.min(Math.max(waitMs, retryAfterMs), longestPollMs), undefined, { signal });
  }
}

function requireOrder({ status, error }: Order): void {
  if (status === 'invalid')
    throw new PosternError('certificate.failed', `The authority gave the order up: ${describeProblem(error)}`);
}

/** Base64url of the DER form. The subject is empty: names stand in the extension alone. */
async function createCsr(names: readonly string[], keys: webcrypto.CryptoKeyPair): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [new SubjectAlternativeNameExtension(names.map(value => ({ type: 'dns', value })))],
  });
  return Buffer.from(request.rawData).toString('base64url');
}

/** Nothing but certificates, the first of them ours: what comes is served to visitors and kept. */
function requireChain(text: string, key: string, names: readonly string[]): string {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map(block => `${block}\n`).join('');
  try {
    const leaf = new NodeCertificate(chain);
    const covered = names.every(name => (leaf.subjectAltName ?? '').toLowerCase().split(', ').includes(`dns:${name}`));
    if (covered && leaf.checkPrivateKey(createPrivateKey(key))) return chain;
  } catch (cause) {
    throw new PosternError('certificate.failed', 'The authority sent no certificate', { cause });
  }
  throw new PosternError(
    'certificate.failed',
    `The authority sent a certificate that is not one for ${names.join(', ')}`,
  );
}
