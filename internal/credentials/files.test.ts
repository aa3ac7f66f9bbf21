// Credentials files, cert.pem and the edge pointer on a real file system.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { listen } from '../../test/support/origin-server.ts';
import { until } from '../../test/support/wait.ts';
import { createTunnelId } from '../schema/api/id.ts';
import { keepEdgePointer, readEdgePointer, writeEdgePointer } from './edge-pointer.ts';
import { encodeOriginCert, parseOriginCert, requireAccount } from './origin-cert.ts';
import { createPrivateFile, readOrCreatePrivateFile, readPrivateFile, replacePrivateFile } from './private-file.ts';
import { parseCredentials, readCredentialsFile, writeCredentialsFile } from './tunnel-credentials.ts';
import type { TunnelToken } from './tunnel-token.ts';

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-credentials-'));
});
after(() => rmSync(directory, { recursive: true }));

const credentials: TunnelToken = {
  accountTag: 'cd'.repeat(16),
  tunnelId: createTunnelId(),
  secret: Buffer.alloc(32, 9),
  edge: ['127.0.0.1:7844'],
  caPin: 'f'.repeat(64),
};

describe('private files', () => {
  it('are 0600 whatever the umask, and never written over', () => {
    const path = join(directory, 'secret');
    const umask = process.umask(0);
    try {
      assert.equal(createPrivateFile(path, 'first'), true);
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(createPrivateFile(path, 'second'), false);
    assert.equal(readFileSync(path, 'utf8'), 'first');
    replacePrivateFile(path, 'third');
    assert.equal(readFileSync(path, 'utf8'), 'third');
    assert.deepEqual(
      readdirSync(directory).filter(name => name.endsWith('.tmp')),
      [],
    );
  });

  it('one of many that start at once wins, and all read the same', async () => {
    const path = join(directory, 'race');
    const texts = await Promise.all(
      Array.from({ length: 20 }, (_, index) => readOrCreatePrivateFile(path, async () => `made by ${index}`)),
    );
    assert.equal(new Set(texts).size, 1);
    assert.equal(texts[0], readFileSync(path, 'utf8'));
  });

  it('are read from pipes, whose writers are not waited for without end', { skip: process.platform === 'win32' }, t => {
    const pipe = join(directory, 'pipe');
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
    assert.throws(() => readPrivateFile(pipe, 100), { code: 'credentials.invalid', message: /Nothing was written/ });
    const writer = spawn('sh', ['-c', 'printf secret > "$0"', pipe]);
    t.after(() => writer.kill('SIGKILL'));
    assert.equal(readPrivateFile(pipe), 'secret');
  });
});

describe('tunnel credentials file', () => {
  it('is written 0600, read back, never overwritten', () => {
    const path = join(directory, `${credentials.tunnelId}.json`);
    writeCredentialsFile(path, credentials);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readCredentialsFile(path), credentials);
    assert.throws(() => writeCredentialsFile(path, credentials), { message: `${path} already exists` });
  });

  it('is read with keys in any case, without an id, with unknown keys', () => {
    const text = JSON.stringify({ accounttag: 'a', TUNNELSECRET: 'AAAA', TunnelName: 'x', Endpoint: '' });
    assert.deepEqual(parseCredentials(text, 'test'), { accountTag: 'a', secret: Buffer.alloc(3) });
  });

  it('names what is wrong and never quotes the secret', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['{"TunnelSecret":"c2VjcmV0c2VjcmV0"', /not valid JSON/],
      ['[]', /JSON object/],
      ['{"TunnelSecret":"AAAA"}', /AccountTag/],
      ['{"AccountTag":"a"}', /TunnelSecret/],
      ['{"AccountTag":"a","TunnelSecret":"A*"}', /not base64/],
      ['{"AccountTag":"a","TunnelSecret":"AAAA","TunnelID":"x"}', /UUID/],
    ];
    for (const [text, message] of cases) {
      assert.throws(() => parseCredentials(text, 'F'), { code: 'credentials.invalid', message });
    }
    assert.throws(
      () => parseCredentials('{"TunnelSecret":"c2VjcmV0c2VjcmV0"', 'F'),
      error => error instanceof Error && !error.message.includes('c2VjcmV0'),
    );
    const missing = join(directory, 'none.json');
    assert.throws(() => readCredentialsFile(missing), {
      code: 'credentials.not-found',
      message: `Tunnel credentials file '${missing}' doesn't exist or is not a file`,
    });
    assert.throws(() => readCredentialsFile(directory), { code: 'credentials.not-found' });
    assert.throws(() => readCredentialsFile('cert.pem'), { code: 'credentials.invalid', message: /should be \.json/ });
  });

  it('refuses a file too large to be one', () => {
    const path = join(directory, 'large.json');
    writeFileSync(path, ' '.repeat(1_100_000));
    assert.throws(() => readCredentialsFile(path), { message: /larger than|Cannot read/ });
  });
});

describe('cert.pem', () => {
  const cert = {
    zoneId: 'z'.repeat(32),
    accountId: 'a'.repeat(32),
    apiToken: 'token',
    apiUrl: 'http://127.0.0.1:1/client/v4',
  };

  it('survives a round trip', () => {
    assert.deepEqual(parseOriginCert(encodeOriginCert(cert)), cert);
    assert.equal(parseOriginCert(encodeOriginCert({ ...cert, endpoint: 'FED' })).endpoint, 'fed');
  });

  it('ignores key and certificate blocks', () => {
    const pem =
      '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    assert.deepEqual(parseOriginCert(pem + encodeOriginCert(cert)), cert);
  });

  it('gives the messages operators know', () => {
    const text = encodeOriginCert(cert);
    const cases: readonly (readonly [string, string])[] = [
      ['', 'cannot decode empty certificate'],
      ['nothing here', 'missing token in the certificate'],
      [text + text, 'found multiple tokens in the certificate'],
      [text.replaceAll('ARGO TUNNEL TOKEN', 'FOO'), 'unknown block FOO in the certificate'],
      [encodeOriginCert({ ...cert, zoneId: '' }), 'missing token in the certificate'],
      [encodeOriginCert({ ...cert, apiToken: '' }), 'missing token in the certificate'],
      [
        '-----BEGIN ARGO TUNNEL TOKEN-----\nAAAA\n-----END ARGO TUNNEL TOKEN-----\n',
        'missing token in the certificate',
      ],
    ];
    for (const [pem, message] of cases)
      assert.throws(() => parseOriginCert(pem), { code: 'credentials.invalid', message });
    assert.throws(() => requireAccount({ ...cert, accountId: '' }, 'P'), {
      message: /^Origin certificate needs to be/,
    });
  });
});

describe('edge pointer', () => {
  /** An edge that listens, of this process unless `pid` says otherwise. */
  const openEdge = async (t: TestContext, pid = process.pid) => {
    const origin = `http://127.0.0.1:${await listen(t, createServer())}`;
    return { apiUrl: `${origin}/client/v4`, quickServiceUrl: origin, stateDir: '/s', pid };
  };
  // 2 ** 22 is the largest pid Linux gives out; one above can never run.
  const deadPid = 2 ** 22 + 1;

  it('names a running edge only', async t => {
    const home = join(directory, 'home');
    const pointer = await openEdge(t);
    assert.equal(readEdgePointer(home), undefined);
    writeEdgePointer(home, pointer);
    assert.deepEqual(readEdgePointer(home), pointer);
    assert.equal(statSync(join(home, 'edge.json')).mode & 0o777, 0o600);
    writeEdgePointer(home, { ...pointer, pid: deadPid });
    assert.equal(readEdgePointer(home), undefined);
    writeFileSync(join(home, 'edge.json'), '{');
    assert.equal(readEdgePointer(home), undefined);
    rmSync(join(home, 'edge.json'));
    mkdirSync(join(home, 'edge.json'));
    assert.equal(readEdgePointer(home), undefined);
  });

  it('stays with the first of two edges, and goes to the second when the first ends', async t => {
    const home = join(directory, 'two');
    const [one, two] = [await openEdge(t), await openEdge(t)];
    const first = await keepEdgePointer(home, one);
    assert.equal(first.holder, undefined);
    const second = await keepEdgePointer(home, two);
    assert.deepEqual(second.holder, one);
    assert.deepEqual(readEdgePointer(home), one);
    first[Symbol.dispose]();
    await until('the second edge to be named', () => readEdgePointer(home)?.apiUrl === two.apiUrl);
    second[Symbol.dispose]();
    assert.equal(readEdgePointer(home), undefined);
  });

  it('is not removed by an edge that does not have it', async t => {
    const home = join(directory, 'short');
    const one = await openEdge(t);
    using _ = await keepEdgePointer(home, one);
    (await keepEdgePointer(home, await openEdge(t)))[Symbol.dispose]();
    assert.deepEqual(readEdgePointer(home), one);
  });

  it('of an edge that died goes to the next, also when its process number is another’s now', async t => {
    const home = join(directory, 'died');
    const live = await openEdge(t);
    for (const dead of [
      { ...live, pid: deadPid },
      { ...live, apiUrl: `http://127.0.0.1:${await closedPort()}/client/v4` },
    ]) {
      writeEdgePointer(home, dead);
      using kept = await keepEdgePointer(home, live);
      assert.equal(kept.holder, undefined);
      assert.deepEqual(readEdgePointer(home), live);
    }
  });
});

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
