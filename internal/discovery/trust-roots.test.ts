import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { createTestCa, type TestCa } from '../../test/support/test-ca.ts';
import { isPosternError } from '../errors/error.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { openTrustRoots, parseCertificates } from './trust-roots.ts';

describe('trust roots', () => {
  let web: TestCa;
  let root: TestCa;
  let server: Server;
  let base: string;
  let directory: string;
  let requests: string[] = [];
  let respond: (request: IncomingMessage, response: ServerResponse) => void;

  before(async () => {
    [web, root] = [await createTestCa('Web CA'), await createTestCa('Edge root')];
    const { cert, key } = await web.issue(['localhost']);
    server = createServer({ cert, key }, (request, response) => {
      requests.push(request.url ?? '');
      respond(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `https://localhost:${(server.address() as AddressInfo).port}`;
  });
  after(() => new Promise(resolve => server.close(resolve)));
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-roots-'));
    requests = [];
    respond = (_request, response) => response.end(root.cert);
  });
  afterEach(() => rm(directory, { recursive: true }));

  const open = (options: { nowMs?: number; urls?: string[]; trust?: TestCa } = {}) =>
    openTrustRoots({
      cacheFile: join(directory, 'state', 'roots.pem'),
      urls: options.urls ?? [`${base}/a.pem`],
      webCa: [(options.trust ?? web).cert],
      nowMs: () => options.nowMs ?? Date.now(),
      logger: silentLogger(),
    });

  it('fetches once, keeps the roots 0600 and reads them from there', async () => {
    const roots = await open({ urls: [`${base}/a.pem`, `${base}/b.pem`] });
    assert.equal(roots.length, 2);
    assert.equal(roots[0]?.trim(), root.cert.trim());
    assert.deepEqual(requests.toSorted(), ['/a.pem', '/b.pem']);
    const file = join(directory, 'state', 'roots.pem');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await open(), roots);
    assert.equal(requests.length, 2);
  });

  it('fetches again when a cached root has expired or the file is damaged', async () => {
    await open();
    await assert.rejects(open({ nowMs: Date.now() + 60 * 24 * 60 * 60_000 }), isPosternError);
    assert.equal(requests.length, 2);
    await writeFile(join(directory, 'state', 'roots.pem'), 'rubbish');
    await open();
    assert.equal(requests.length, 3);
    assert.match(await readFile(join(directory, 'state', 'roots.pem'), 'utf8'), /BEGIN CERTIFICATE/);
  });

  it('uses what it got when one address fails, and does not keep it', async () => {
    respond = (request, response) => {
      if (request.url === '/b.pem') response.writeHead(404).end();
      else response.end(root.cert);
    };
    assert.equal((await open({ urls: [`${base}/a.pem`, `${base}/b.pem`] })).length, 1);
    await open();
    assert.equal(requests.length, 3);
  });

  it('trusts only web TLS, takes no redirects, no leaf certificates, nothing huge; and says what to do', async () => {
    const says = (error: unknown): boolean =>
      isPosternError(error, 'tls.failed') && /--cacert/.test(error.message) && error.message.includes(base);
    await assert.rejects(open({ trust: root }), says);
    respond = (_request, response) => response.writeHead(302, { location: `${base}/elsewhere` }).end();
    await assert.rejects(open(), says);
    respond = (_request, response) => response.end('x'.repeat(100_000));
    await assert.rejects(open(), says);
    const leaf = await root.issue(['edge.example']);
    respond = (_request, response) =>
      response.end(`${leaf.cert.split('-----END CERTIFICATE-----')[0]}-----END CERTIFICATE-----`);
    await assert.rejects(open(), says);
    await assert.rejects(stat(join(directory, 'state', 'roots.pem')), { code: 'ENOENT' });
  });

  it('reads PEM files with several certificates and refuses others', () => {
    assert.equal(parseCertificates(`junk\n${root.cert}\n${web.cert}`, 'x').length, 2);
    const invalid = (error: unknown): boolean => isPosternError(error, 'config.invalid');
    assert.throws(() => parseCertificates('', 'x'), invalid);
    assert.throws(
      () => parseCertificates('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'x'),
      invalid,
    );
  });
});
