// The real program as a connector, against a small edge in the test: credentials, signals, exit codes, reload, recovery.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { parseTunnelId } from '../../internal/schema/api/id.ts';
import { listen } from '../support/origin-server.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { refusal, SmallEdge } from '../support/small-edge.ts';
import { until, within } from '../support/wait.ts';

const tunnelId = parseTunnelId('11111111-2222-4333-8444-555555555555') ?? assert.fail();
const secret = 'a secret that must never be logged';

/** A token of our own edge: it carries the address and the pin, so nothing else is needed. */
function ownToken(edge: SmallEdge, options: { readonly pin?: string } = {}): string {
  return encodeToken({
    accountTag: 'account-tag',
    tunnelId,
    secret: Buffer.from(secret),
    edge: [`127.0.0.1:${edge.port}`],
    caPin: options.pin ?? spkiPin(new X509Certificate(edge.ca.cert)),
  });
}

async function world(t: TestContext) {
  const edge = await SmallEdge.open();
  t.after(() => edge.close());
  return { edge, home: await temporaryDirectory(t) };
}

const metricsFlags = ['--metrics', '127.0.0.1:0'];

describe('postern tunnel run', () => {
  it('resets streams that nobody reads by --write-stream-timeout, and names flags that have no effect', async t => {
    const { edge, home } = await world(t);
    const origin = await listen(
      t,
      createServer((_request, response) => {
        const pump = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(64_000)));
        };
        response.on('drain', pump);
        pump();
      }),
    );
    const program = startProgram(
      t,
      [
        ...['tunnel', '--url', `http://127.0.0.1:${origin}`, ...metricsFlags, '--loglevel', 'debug'],
        ...['--write-stream-timeout', '200ms', '--max-edge-addr-retries', '3', 'run'],
      ],
      { home, env: { TUNNEL_TOKEN: ownToken(edge) } },
    );
    await program.logged(/WRN --max-edge-addr-retries has no effect in Postern/);
    await until('a registration', () => edge.registered.length > 0);
    const unread = edge.connection(edge.indexes[0] ?? 0).request({
      ...{ kind: 'http', method: 'GET', scheme: 'https', host: 'app.example.com', path: '/' },
      ...{ headers: [], bodyLength: 0 },
    });
    assert.equal((await unread.response).status, 200);
    await program.logged(/Stream reset: its reader took nothing for 200 ms/);
  });

  for (const protocol of ['http2', 'quic'] as const) {
    it(`trusts what the system trusts, over ${protocol}`, async t => {
      const edge = await SmallEdge.open({ protocol });
      t.after(() => edge.close());
      const home = await temporaryDirectory(t);
      const systemStore = join(home, 'system.pem');
      await writeFile(systemStore, edge.ca.cert);
      // A token without a pin: the edge's certificate must chain to an authority of the system's store.
      const token = encodeToken({ accountTag: 'account-tag', tunnelId, secret: Buffer.from(secret) });
      startProgram(
        t,
        [
          ...['tunnel', ...metricsFlags, '--edge', `127.0.0.1:${edge.port}`, '--protocol', protocol],
          ...['--hello-world', '--ha-connections', '1', 'run'],
        ],
        { home, env: { TUNNEL_TOKEN: token, SSL_CERT_FILE: systemStore } },
      );
      await until('a registration', () => edge.registered.length === 1);
    });
  }

  it('joins with nothing but a token, logs what scripts look for, and stops with exit code 0', async t => {
    const { edge, home } = await world(t);
    const origin = await listen(
      t,
      createServer((_request, response) => response.end('from the origin')),
    );
    const program = startProgram(
      t,
      [
        ...['tunnel', '--url', `http://127.0.0.1:${origin}`, ...metricsFlags, '--pidfile', 'postern.pid'],
        // What they ask for is so anyway: nothing to warn of.
        ...['--no-autoupdate', '--no-prechecks', 'run'],
      ],
      { home, env: { TUNNEL_TOKEN: ownToken(edge) } },
    );
    await program.logged(
      /INF Registered tunnel connection connIndex=0 connection=[0-9a-f-]{36} ip=127\.0\.0\.1 location=tst01 protocol=http2/,
    );
    await until('four registrations', () => edge.registered.length === 4);
    assert.deepEqual(edge.indexes, [0, 1, 2, 3]);
    for (const connIndex of edge.indexes) assert.equal((await edge.request(connIndex)).text, 'from the origin');
    const [, address] = await program.logged(/Starting metrics server on (\S+)\/metrics/);
    const ready = await fetch(`http://${address}/ready`, { headers: { connection: 'close' } });
    assert.deepEqual(Object.keys((await ready.json()) as object), ['status', 'readyConnections', 'connectorId']);
    program.child.kill('SIGTERM');
    assert.equal(await within('the exit', program.exited), 0);
    for (const line of [
      /Initial protocol (quic|http2)/,
      /Starting tunnel tunnelID=11111111-2222-4333-8444-555555555555/,
      /Generated Connector ID: [0-9a-f-]{36}/,
      /Initiating graceful shutdown due to signal terminated \.\.\./,
      /Unregistered tunnel connection/,
      /Tunnel server stopped/,
    ]) {
      assert.match(program.log(), line);
    }
    assert.doesNotMatch(program.log(), / WRN /);
    assert.ok(!program.log().includes(secret) && !program.log().includes(Buffer.from(secret).toString('base64')));
  });

  it('warns of a service where nobody listens, and names the hosts of its rules', async t => {
    const { edge, home } = await world(t);
    const env = { TUNNEL_TOKEN: ownToken(edge) };
    const closed = createServer();
    const port = await listen(t, closed);
    await new Promise(resolve => closed.close(resolve));
    const url = `http://127.0.0.1:${port}`;
    const early = startProgram(t, ['tunnel', '--url', url, ...metricsFlags, 'run'], { home, env });
    await early.logged(new RegExp(`WRN Nobody listens at ${url} \\(ECONNREFUSED\\)`));
    const rules = ['app', 'ssh'].map(name => `  - {hostname: ${name}.example.com, service: "http_status:204"}`);
    await writeFile(join(home, 'c.yml'), ['ingress:', ...rules, '  - service: http_status:404', ''].join('\n'));
    const named = startProgram(t, ['tunnel', '--config', 'c.yml', ...metricsFlags, 'run'], { home, env });
    await named.logged(/INF Serving app\.example\.com, ssh\.example\.com/);
  });

  it('serves a response that takes its time after SIGTERM, and ends early when it is done', async t => {
    const { edge, home } = await world(t);
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const origin = await listen(
      t,
      createServer(async (_request, response) => {
        response.write('begun ');
        asked.resolve();
        await gate.promise;
        response.end('finished');
      }),
    );
    const program = startProgram(
      t,
      ['tunnel', '--url', `http://127.0.0.1:${origin}`, '--ha-connections', '1', 'run', '--token', ownToken(edge)],
      { home },
    );
    await until('a registration', () => edge.registered.length === 1);
    const answer = edge.request(0);
    await asked.promise;
    program.child.kill('SIGTERM');
    await program.logged(/Unregistered tunnel connection/);
    assert.equal(program.child.exitCode, null);
    gate.resolve();
    assert.equal((await answer).text, 'begun finished');
    assert.equal(await within('the exit', program.exited, 10_000), 0);
  });

  it('ends at once on a second signal', async t => {
    const { edge, home } = await world(t);
    const asked = Promise.withResolvers<void>();
    const origin = await listen(
      t,
      createServer(() => asked.resolve()),
    );
    const program = startProgram(
      t,
      ['tunnel', '--url', `http://127.0.0.1:${origin}`, '--ha-connections', '1', 'run', '--token', ownToken(edge)],
      { home },
    );
    await until('a registration', () => edge.registered.length === 1);
    void edge.request(0).catch(() => undefined);
    await asked.promise;
    program.child.kill('SIGINT');
    await program.logged(/due to signal interrupt/);
    program.child.kill('SIGINT');
    assert.equal(await within('the exit', program.exited, 10_000), 130);
  });

  it('exits with 2 when the edge calls the credentials invalid', async t => {
    const { edge, home } = await world(t);
    edge.judge = () => refusal('Unauthorized: Invalid tunnel secret');
    // It tries for a minute: a fresh tunnel may not be known everywhere yet.
    const program = startProgram(t, ['tunnel', 'run', '--retries', '1', '--token', ownToken(edge)], { home });
    assert.equal(await within('the exit', program.exited, 120_000), 2);
    assert.match(program.log(), /Unauthorized/);
    // The connector vanished while the edge was still closing in order: nothing of it may be left.
    await until('the edge to be rid of its connections', () => edge.open === 0, 10_000);
  });

  it('does not register at an edge whose authority is not the pinned one', async t => {
    const { edge, home } = await world(t);
    const program = startProgram(t, ['tunnel', 'run', '--token', ownToken(edge, { pin: 'ab'.repeat(32) })], { home });
    await program.logged(/Unable to establish connection with the edge.*pin/);
    assert.equal(edge.attempts.length, 0);
    program.child.kill('SIGTERM');
    assert.equal(await within('the exit', program.exited), 0);
  });

  it('takes credentials from a file and the edge from flags', async t => {
    const { edge, home } = await world(t);
    await writeFile(join(home, 'ca.pem'), edge.ca.cert);
    await writeFile(
      join(home, 'tunnel.json'),
      JSON.stringify({
        AccountTag: 'account-tag',
        TunnelSecret: Buffer.from(secret).toString('base64'),
        TunnelID: tunnelId,
      }),
      { mode: 0o600 },
    );
    const program = startProgram(
      t,
      [
        'tunnel',
        '--edge',
        `127.0.0.1:${edge.port}`,
        '--cacert',
        'ca.pem',
        '--cred-file',
        'tunnel.json',
        '--ha-connections',
        '2',
        'run',
        tunnelId,
      ],
      { home },
    );
    // A start and two registrations a second apart took 16 s on a machine with four times the work that it can do.
    await until('two registrations', () => edge.registered.length === 2, 90_000).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}\n${program.log()}`);
    });
    assert.equal(edge.attempts[0]?.accountTag, 'account-tag');
    assert.equal(Buffer.from(edge.attempts[0]?.tunnelSecret ?? []).toString(), secret);
    program.child.kill('SIGTERM');
    assert.equal(await within('the exit', program.exited), 0);
  });

  it('goes on while the edge is away, and is back soon after it', async t => {
    const { edge, home } = await world(t);
    const program = startProgram(t, ['tunnel', '--ha-connections', '1', 'run', '--token', ownToken(edge)], { home });
    await until('a registration', () => edge.registered.length === 1);
    await edge.close();
    await program.logged(/Lost connection with the edge/);
    await program.logged(/Retrying connection in up to \d+s/);
    await program.logged(/Unable to establish connection with the edge/);
    const again = await SmallEdge.open({ port: edge.port, ca: edge.ca });
    t.after(() => again.close());
    await until('a new registration', () => again.registered.length === 1, 60_000);
    assert.equal(program.child.exitCode, null);
  });

  it('reloads its config file while requests run, and keeps the old one when the new is invalid', async t => {
    const { edge, home } = await world(t);
    const path = join(home, 'config.yml');
    const replace = async (text: string): Promise<void> => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    await replace('ingress:\n  - service: http_status:201\n');
    const program = startProgram(
      t,
      ['tunnel', '--config', path, '--ha-connections', '1', 'run', '--token', ownToken(edge)],
      { home },
    );
    await until('a registration', () => edge.registered.length === 1);
    let stop = false;
    const statuses: number[] = [];
    const load = (async () => {
      while (!stop) statuses.push((await edge.request(0)).status);
    })();
    await until('requests', () => statuses.includes(201));
    await replace('ingress:\n  - service: http_status:202\n');
    await until('the reload', () => statuses.includes(202));
    await replace('ingress:\n  - hostname: a.example\n    service: http_status:203\n');
    await program.logged(/not reloaded, the present one stays/);
    await replace('');
    await program.logged(/has no ingress rules any more; the present configuration stays/);
    await replace('ingress:\n  - service: http_status:204\n');
    program.child.kill('SIGHUP');
    await until('the next reload', () => statuses.includes(204));
    stop = true;
    await load;
    assert.deepEqual([...new Set(statuses)], [201, 202, 204]);
  });

  for (const [name, args, code, text] of [
    ['a bad token', ['tunnel', 'run', '--token', 'rubbish'], 2, /Provided Tunnel token is not valid/],
    [
      'no tunnel named',
      ['tunnel', 'run'],
      64,
      /requires the ID or name of the tunnel .*or its token with --token-file/,
    ],
    ['a token file that is not there', ['tunnel', 'run', '--token-file', 'missing'], 64, /Failed to read token file/],
    ['credentials that are not there', ['tunnel', 'run', tunnelId], 2, /credentials file not found/],
    ['a CA file that is not there', ['tunnel', '--cacert', 'missing.pem', 'run', '--token', 'TOKEN'], 3, /--cacert/],
    ['a malformed edge address', ['tunnel', '--edge', 'nonsense', 'run', '--token', 'TOKEN'], 3, /host:port/],
    [
      'a bind address of another machine',
      ['tunnel', '--edge-bind-address', '203.0.113.1', 'run', '--token', 'TOKEN'],
      3,
      /edge-bind-address/,
    ],
    [
      'a config file that is not there',
      ['tunnel', '--config', 'missing.yml', 'run', '--token', 'TOKEN'],
      3,
      /missing\.yml/,
    ],
  ] as const) {
    it(`exits with ${code} for ${name}`, async t => {
      const home = await temporaryDirectory(t);
      const token = encodeToken({ accountTag: 'a', tunnelId, secret: Buffer.from(secret), edge: ['127.0.0.1:1'] });
      const program = startProgram(
        t,
        args.map(arg => (arg === 'TOKEN' ? token : arg)),
        { home },
      );
      assert.equal(await within('the exit', program.exited), code, program.log());
      assert.match(program.log(), text);
    });
  }
});
