// The edge's certificates over real TLS connections and real files.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, createServer, type SecureContext, type TlsOptions } from 'node:tls';
import { createTestCa } from '../../test/support/test-ca.ts';
import { until, within } from '../../test/support/wait.ts';
import { spkiPin } from '../net/trust/spki-pin.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { needsOwnCertificate } from './name-certificates.ts';
import { type CertificateOptions, openCertificates as openWithLogger, protocolNames } from './open-certificates.ts';

const openCertificates = (options: Omit<CertificateOptions, 'logger'>) =>
  openWithLogger({ ...options, logger: silentLogger() });

let root = '';
let count = 0;
const newDirectory = (): string => join(root, `state-${++count}`);
before(() => {
  root = mkdtempSync(join(tmpdir(), 'postern-certificates-'));
});
after(() => rmSync(root, { recursive: true }));

/** Handshakes as a client that trusts only `ca` and verifies `servername`; resolves to the pins the server sent. */
async function handshake(server: TlsOptions, ca: string, servername: string): Promise<string[]> {
  const listener = createServer(server, socket => socket.end());
  listener.on('tlsClientError', () => undefined);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', ca, servername });
  try {
    await once(socket, 'secureConnect');
    const pins: string[] = [];
    let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
    while (certificate !== undefined) {
      pins.push(spkiPin(certificate));
      certificate = certificate.issuerCertificate;
    }
    return pins;
  } finally {
    socket.destroy();
    listener.close();
    await once(listener, 'close');
  }
}

describe('openCertificates', () => {
  it('makes a CA on first start and serves the names connectors verify', async () => {
    const stateDir = newDirectory();
    await using made = await openCertificates({
      stateDir,
      names: ['edge.example', '192.0.2.7', '::1'],
      visitorDomains: [],
    });
    assert.equal(statSync(stateDir).mode & 0o777, 0o700);
    assert.equal(statSync(join(stateDir, 'ca-key.pem')).mode & 0o777, 0o600);
    assert.equal(readFileSync(join(stateDir, 'ca.pem'), 'utf8'), made.caPem);
    for (const name of [...protocolNames, 'edge.example']) {
      const pins = await handshake(made.tls, made.caPem, name);
      assert.equal(pins.at(-1), made.caPin, 'the chain ends with the pinned CA');
      assert.equal(pins.length, 2);
    }
    const leaf = new X509Certificate(made.tls.cert);
    assert.ok(leaf.checkIP('192.0.2.7') !== undefined && leaf.checkIP('::1') !== undefined);
    assert.equal(leaf.ca, false);
    await assert.rejects(handshake(made.tls, made.caPem, 'other.example'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    const stranger = await openCertificates({ stateDir: newDirectory(), names: [], visitorDomains: [] });
    await stranger.close();
    await assert.rejects(handshake(made.tls, stranger.caPem, 'h2.cftunnel.com'), {
      code: /SELF_SIGNED|UNABLE_TO_VERIFY/,
    });
  });

  it('keeps its CA over restarts, and many first starts agree on one', async () => {
    const stateDir = newDirectory();
    const open = () => openCertificates({ stateDir, names: [], visitorDomains: [] });
    const all = await Promise.all([open(), open(), open(), open()]);
    assert.equal(new Set(all.map(item => item.caPin)).size, 1);
    for (const item of all) await item.close();
    rmSync(join(stateDir, 'ca.pem'));
    await using again = await open();
    assert.equal(again.caPin, all[0]?.caPin);
    assert.equal(readFileSync(join(stateDir, 'ca.pem'), 'utf8'), again.caPem);
  });

  it('renews before expiry and tells the listeners', async () => {
    let now = Date.now();
    await using made = await openCertificates({
      stateDir: newDirectory(),
      names: [],
      visitorDomains: ['a.example'],
      now: () => now,
    });
    const first = made.tls.cert;
    let renewals = 0;
    const stop = made.onRenewed(() => {
      renewals += 1;
    });
    assert.equal(await made.renew(), false);
    now += 59 * 86_400_000;
    assert.equal(await made.renew(), false);
    now += 2 * 86_400_000;
    assert.equal(await made.renew(), true);
    assert.equal(renewals, 1);
    assert.notEqual(made.tls.cert, first);
    assert.ok(Date.parse(new X509Certificate(made.tls.cert).validTo) > now + 80 * 86_400_000);
    stop();
    now += 80 * 86_400_000;
    await made.renew();
    assert.equal(renewals, 1);
  });

  it('covers visitor names: by wildcard, and one by one where a wildcard does not count', async () => {
    await using made = await openCertificates({
      stateDir: newDirectory(),
      names: [],
      visitorDomains: ['localhost', 'apps.example.com'],
      serves: hostname => (hostname === 'unknown.localhost' ? undefined : 'name'),
    });
    const server = { ...made.visitorTls, SNICallback: made.byName?.sniCallback };
    for (const name of [
      'apps.example.com',
      'web.apps.example.com',
      'calm-otter-lamp-42.localhost',
      'a.b.apps.example.com',
    ]) {
      await handshake(server as TlsOptions, made.caPem, name);
    }
    for (const name of ['unknown.localhost', 'example.com', 'web.other.com']) {
      await assert.rejects(handshake(server as TlsOptions, made.caPem, name), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    }
    assert.equal(needsOwnCertificate(`${'a'.repeat(64)}.localhost`, ['localhost']), false);
    assert.equal(needsOwnCertificate('evil\u0000.localhost', ['localhost']), false);
    assert.equal(needsOwnCertificate('*.localhost', ['localhost']), false);
  });

  it('makes few certificates for names under a wildcard, and those of routed names whatever else is asked for', async () => {
    let now = Date.now();
    await using made = await openCertificates({
      stateDir: newDirectory(),
      names: [],
      visitorDomains: ['localhost'],
      now: () => now,
      serves: hostname => (hostname.startsWith('own') ? 'name' : 'wildcard'),
    });
    const ask = (name: string) =>
      new Promise<SecureContext | undefined>((resolve, reject) => {
        made.byName?.sniCallback(name, (error, context) => (error === null ? resolve(context) : reject(error)));
      });
    const own = await ask('own.localhost');
    assert.ok(own !== undefined);
    const asked = await Promise.all(Array.from({ length: 300 }, (_, index) => ask(`n${index}.localhost`)));
    assert.equal(asked.filter(context => context !== undefined).length, 128);
    assert.equal(await ask('own.localhost'), own);
    assert.ok((await ask('own2.localhost')) !== undefined);
    assert.equal(await ask('n0.localhost'), asked[0]);
    assert.equal(await ask('later.localhost'), undefined);
    now += 1_000;
    assert.ok((await ask('later.localhost')) !== undefined);
  });

  it('uses files given, and sees that they changed', async () => {
    const issuer = await openCertificates({ stateDir: newDirectory(), names: ['one.example'], visitorDomains: [] });
    await issuer.close();
    const certFile = join(root, 'given.pem');
    const keyFile = join(root, 'given.key');
    writeFileSync(certFile, issuer.tls.cert);
    writeFileSync(keyFile, issuer.tls.key);
    await using made = await openCertificates({
      stateDir: newDirectory(),
      names: [],
      visitorDomains: [],
      certFile,
      keyFile,
    });
    assert.equal(made.caPin, issuer.caPin);
    await handshake(made.visitorTls, made.caPem, 'one.example');
    assert.equal(await made.renew(), false);
    const other = await openCertificates({ stateDir: newDirectory(), names: ['two.example'], visitorDomains: [] });
    await other.close();
    writeFileSync(certFile, other.tls.cert);
    writeFileSync(keyFile, other.tls.key);
    utimesSync(certFile, 1, 1);
    assert.equal(await made.renew(), true);
    await handshake(made.tls, made.caPem, 'two.example');
  });

  it('shows a certificate without the protocol’s names to visitors only', async () => {
    const ca = await createTestCa();
    const [certFile, keyFile] = [join(root, 'public.pem'), join(root, 'public.key')];
    const write = async (name: string): Promise<void> => {
      const issued = await ca.issue([name]);
      writeFileSync(certFile, issued.cert);
      writeFileSync(keyFile, issued.key);
    };
    await write('app.example.com');
    const stateDir = newDirectory();
    const options = { stateDir, names: ['edge.example'], visitorDomains: ['example.com'], certFile, keyFile };
    await using made = await openCertificates(options);
    await handshake(made.visitorTls, ca.cert, 'app.example.com');
    for (const name of [...protocolNames, 'edge.example'])
      assert.ok((await handshake(made.tls, made.caPem, name)).includes(made.caPin), name);
    assert.equal(made.caPem, readFileSync(join(stateDir, 'ca.pem'), 'utf8'));
    assert.equal(made.byName, undefined);
    const { tls } = made;
    await write('new.example.com');
    await made.reload();
    await handshake(made.visitorTls, ca.cert, 'new.example.com');
    await handshake(made.tls, made.caPem, 'h2.cftunnel.com');
    assert.notEqual(made.tls, tls);
  });

  it('takes changed files by itself, a chain and its key only together', async () => {
    const [one, two] = await Promise.all(
      ['one.example', 'two.example'].map(name =>
        openCertificates({ stateDir: newDirectory(), names: [name], visitorDomains: [] }),
      ),
    );
    assert.ok(one !== undefined && two !== undefined);
    await Promise.all([one.close(), two.close()]);
    const [certFile, keyFile] = [join(root, 'pair.pem'), join(root, 'pair.key')];
    writeFileSync(certFile, one.tls.cert);
    writeFileSync(keyFile, one.tls.key);
    const files = { stateDir: newDirectory(), names: [], visitorDomains: [], certFile, keyFile };
    await assert.rejects(openCertificates({ ...files, keyFile: certFile }), { code: 'tls.failed' });
    await using made = await openCertificates({ ...files, checkIntervalMs: 10 });
    const renewed = new Promise<void>(resolve => made.onRenewed(resolve));
    writeFileSync(certFile, two.tls.cert);
    await assert.rejects(made.reload(), { code: 'tls.failed', message: /pair\.key/ });
    assert.equal(made.tls.cert, one.tls.cert);
    writeFileSync(keyFile, two.tls.key);
    await within('the new pair', renewed);
    assert.deepEqual(made.tls, { cert: two.tls.cert, key: two.tls.key });
  });

  it('makes certificates that are valid now, whichever way the clock jumped', async () => {
    let now = Date.now();
    const [yearMs, dayMs] = [365 * 86_400_000, 86_400_000];
    await using made = await openCertificates({
      stateDir: newDirectory(),
      names: [],
      visitorDomains: ['localhost'],
      now: () => now,
      checkIntervalMs: 10,
    });
    const served = (servername: string): Promise<X509Certificate> =>
      new Promise((resolve, reject) =>
        made.byName?.sniCallback(servername, (error, context) => {
          const pem = context?.context.getCertificate();
          if (pem === undefined) reject(error ?? new Error('no certificate'));
          else resolve(new X509Certificate(pem));
        }),
      );
    const isValid = (certificate: X509Certificate): boolean =>
      Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo);
    for (const jumpMs of [3 * yearMs, -3 * yearMs, 0, 100 * dayMs, -100 * dayMs]) {
      now += jumpMs;
      assert.ok(isValid(await served('app.localhost')), `after ${jumpMs} ms`);
      await until('certificates of now', () =>
        [made.tls, made.visitorTls].every(({ cert }) => isValid(new X509Certificate(cert))),
      );
    }
  });

  it('refuses a key that every user can read, and says what mends it', {
    skip: process.platform === 'win32',
  }, async t => {
    const stateDir = newDirectory();
    const made = await openCertificates({ names: [], visitorDomains: [], stateDir });
    const { tls } = made;
    await made.close();
    // Where everybody may look.
    const open = mkdtempSync(join(tmpdir(), 'postern-open-'));
    t.after(() => rmSync(open, { recursive: true }));
    const [certFile, keyFile] = [join(open, 'cert.pem'), join(open, "it's a key.pem")];
    writeFileSync(certFile, tls.cert);
    writeFileSync(keyFile, tls.key, { mode: 0o644 });
    const files = { names: [], visitorDomains: [], stateDir, certFile, keyFile };
    chmodSync(open, 0o755);
    await assert.rejects(openCertificates(files), {
      code: 'credentials.invalid',
      message: `The key ${keyFile} can be read by every user of this machine. Mend it with \`chmod 600 '${keyFile.replace("'", "'\\''")}'\``,
    });
    chmodSync(keyFile, 0o600);
    await (await openCertificates(files)).close();
    // What a name leads to need not be a file.
    await assert.rejects(openCertificates({ ...files, certFile: '/dev/zero' }), { code: 'tls.failed' });
    await assert.rejects(openCertificates({ ...files, keyFile: '/dev/zero' }), { code: 'credentials.invalid' });
  });

  it('says which file is wrong', async () => {
    const stateDir = newDirectory();
    const base = { names: [], visitorDomains: [] };
    await assert.rejects(openCertificates({ ...base, stateDir, certFile: '/none' }), { code: 'config.invalid' });
    await assert.rejects(openCertificates({ ...base, stateDir, certFile: '/none', keyFile: '/none' }), {
      code: 'tls.failed',
      message: /\/none/,
    });
    const made = await openCertificates({ ...base, stateDir });
    await made.close();
    copyFileSync(join(stateDir, 'ca.pem'), join(stateDir, 'ca-key.pem'));
    await assert.rejects(openCertificates({ ...base, stateDir }), { code: 'tls.failed', message: /ca-key\.pem/ });
  });
});
