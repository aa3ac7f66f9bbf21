// When certificates are renewed, and how an authority says so. The authority of renewal information is a small server here:
// Debian's pebble has no such service yet.

import assert from 'node:assert/strict';
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { createServer } from 'node:https';
import { describe, it, type TestContext } from 'node:test';
import { AuthorityKeyIdentifierExtension, X509CertificateGenerator } from '@peculiar/x509';
import { listen } from '../../../test/support/origin-server.ts';
import { createTestCa } from '../../../test/support/test-ca.ts';
import { createAuthorityPem, issueServerCertificate, parseAuthorityPem } from '../issue.ts';
import { AcmeClient, createAccountKey } from './acme-client.ts';
import { defaultRenewalMs, momentWithin, readRenewalWindow, renewalIdOf, retryDelayMs } from './renewal-time.ts';

const hourMs = 3_600_000;

/** A directory with renewal information: `answer` gives what the certificate of an id is told. */
async function openAuthority(
  t: TestContext,
  answer: (id: string) => { readonly text: string; readonly retry?: string },
) {
  const ca = await createTestCa();
  const { cert, key } = await ca.issue(['127.0.0.1']);
  const server = createServer({ cert, key }, (request, response) => {
    const { host } = request.headers;
    const path = request.url ?? '';
    if (path === '/dir') {
      const at = (name: string) => `https://${host}/${name}`;
      const urls = { newNonce: at('nonce'), newAccount: at('account'), newOrder: at('order'), renewalInfo: at('ari') };
      return void response.end(JSON.stringify(urls));
    }
    const { retry, text } = answer(path.replace('/ari/', ''));
    if (retry !== undefined) response.setHeader('retry-after', retry);
    response.end(text);
  });
  const directoryUrl = `https://127.0.0.1:${await listen(t, server)}/dir`;
  return new AcmeClient({ directoryUrl, caPem: ca.cert, contact: 'a@example.com' }, await createAccountKey(), {
    signal: AbortSignal.timeout(20_000),
    now: Date.now,
  });
}

async function createChain(): Promise<string> {
  const authority = await parseAuthorityPem(await createAuthorityPem(Date.now()));
  return (await issueServerCertificate(authority, ['app.example.com'], Date.now())).cert;
}

describe('renewal', () => {
  it('is asked for by the name of RFC 9773, and takes what the authority suggests', async t => {
    const chain = await createChain();
    const asked: string[] = [];
    const client = await openAuthority(t, id => {
      asked.push(id);
      const suggestedWindow = { start: '2027-01-02T04:00:00Z', end: '2027-01-03T04:00:00Z' };
      return { text: JSON.stringify({ suggestedWindow }), retry: '21600' };
    });
    const window = await readRenewalWindow(client, chain);
    assert.ok(window !== undefined);
    assert.deepEqual(window, {
      startMs: Date.parse('2027-01-02T04:00:00Z'),
      endMs: Date.parse('2027-01-03T04:00:00Z'),
      lookAgainMs: 6 * hourMs,
    });
    assert.deepEqual(asked, [renewalIdOf(chain)]);
    assert.match(asked[0] ?? '', /^[\w-]{27}\.[\w-]{22}$/);
    assert.equal(
      momentWithin(window, () => 0.25),
      window.startMs + 6 * hourMs,
    );
  });

  it('has the name of the example of RFC 9773', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      ...{ serialNumber: '0087654321', name: 'CN=Example Cert', signingAlgorithm: algorithm, keys },
      extensions: [new AuthorityKeyIdentifierExtension('69885b6b87464041e1b37b847ba0ae2cde01c8d4')],
    });
    assert.equal(renewalIdOf(`${certificate.toString('pem')}\n`), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE');
  });

  it('bounds how often it asks, and believes no window that ends before it starts', async t => {
    const chain = await createChain();
    const answers = [
      { start: '2027-01-02T04:00:00Z', end: '2027-01-03T04:00:00Z', retry: '0' },
      { start: '2027-01-02T04:00:00Z', end: '2027-01-03T04:00:00Z', retry: '99999999' },
      { start: '2027-01-03T04:00:00Z', end: '2027-01-02T04:00:00Z', retry: '60' },
    ];
    const client = await openAuthority(t, () => {
      const { retry, ...suggestedWindow } = answers.shift() ?? assert.fail();
      return { text: JSON.stringify({ suggestedWindow }), retry };
    });
    assert.equal((await readRenewalWindow(client, chain))?.lookAgainMs, 60_000);
    assert.equal((await readRenewalWindow(client, chain))?.lookAgainMs, 24 * hourMs);
    assert.equal(await readRenewalWindow(client, chain), undefined);
  });

  it('takes no answer that is too long or no document', async t => {
    const chain = await createChain();
    const texts = ['x'.repeat(300_000), '{}', 'null', '{"suggestedWindow":{"start":"soon","end":"later"}}'];
    const client = await openAuthority(t, () => ({ text: texts.shift() ?? assert.fail() }));
    while (texts.length > 0) await assert.rejects(readRenewalWindow(client, chain), { code: 'certificate.failed' });
  });

  it('spreads what an authority says nothing about before two thirds of the lifetime', () => {
    assert.equal(
      defaultRenewalMs(1_000, 91_000, () => 0),
      61_000,
    );
    assert.equal(
      defaultRenewalMs(1_000, 91_000, () => 1),
      56_500,
    );
  });

  it('waits longer after each failure, at most a day, and never less than it is asked to', () => {
    const minutes = [1, 2, 3, 4, 5, 6, 7, 8, 50].map(failures => retryDelayMs(failures, undefined, () => 0) / 60_000);
    assert.deepEqual(minutes, [2, 6, 18, 54, 162, 486, 1_440, 1_440, 1_440]);
    assert.equal(
      retryDelayMs(1, hourMs, () => 1),
      hourMs,
    );
  });
});
