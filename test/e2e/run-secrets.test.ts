// Where `tunnel run` takes its secrets from, and which files it refuses.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { SmallEdge } from '../support/small-edge.ts';
import { until, within } from '../support/wait.ts';

const secret = Buffer.from('a secret that must never be shown');
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const mounts =
  isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0 ? false : 'mounting takes root on Linux';

async function world(t: TestContext) {
  const edge = await SmallEdge.open();
  t.after(() => edge.close());
  const home = await temporaryDirectory(t);
  const tunnelId = createTunnelId();
  const addresses = { edge: [`127.0.0.1:${edge.port}`], caPin: spkiPin(new X509Certificate(edge.ca.cert)) };
  const token = encodeToken({ accountTag: 'account-tag', tunnelId, secret, ...addresses });
  const credentials = JSON.stringify({
    ...{ AccountTag: 'account-tag', TunnelSecret: secret.toString('base64'), TunnelID: tunnelId },
    ...{ PosternEdge: addresses.edge, PosternCaPin: addresses.caPin },
  });
  const start = (args: readonly string[], options: { env?: Record<string, string>; prefix?: string[] } = {}): Program =>
    startProgram(
      t,
      ['tunnel', '--metrics', '127.0.0.1:0', '--ha-connections', '1', '--protocol', 'http2', 'run', ...args],
      { home, ...options },
    );
  const registers = async (program: Program): Promise<void> => {
    const before = edge.attempts.length;
    await program.logged(/Registered tunnel connection/);
    assert.ok(edge.attempts.length > 0 && edge.attempts.length >= before);
    assert.deepEqual(Buffer.from(edge.attempts.at(-1)?.tunnelSecret ?? []), secret);
    program.child.kill('SIGTERM');
    assert.equal(await within('the exit', program.exited), 0);
    await until('no registration', () => edge.open === 0);
  };
  return { edge, home, tunnelId, token, credentials, start, registers };
}

describe('secrets of tunnel run', { timeout: 120_000 }, () => {
  it('come from standard input, a variable, a file or systemd', async t => {
    const { home, token, credentials, start, registers, tunnelId } = await world(t);
    writeFileSync(join(home, 'token'), `${token}\n`, { mode: 0o600 });
    const prefix = ['sh', '-c', 'mkfifo pipe; cat token > pipe & exec "$@" < pipe', 'sh'];
    await registers(start(['--token-file', '-'], { prefix }));
    await registers(start([], { env: { TUNNEL_TOKEN: token } }));
    await registers(start([], { env: { TUNNEL_TOKEN_FILE: join(home, 'token') } }));

    // As <(…) of a shell is: a pipe without a path.
    const nameless = ['sh', '-c', 'exec "$@" 9<<END\n$(cat token)\nEND', 'sh'];
    await registers(start(['--token-file', '/dev/fd/9'], { prefix: nameless }));

    const loaded = join(home, 'loaded');
    mkdirSync(loaded);
    writeFileSync(join(loaded, 'token'), token, { mode: 0o400 });
    const env = { CREDENTIALS_DIRECTORY: loaded };
    await registers(start([], { env }));
    // The command line says something else.
    const other = start(['--credentials-file', 'none.json', tunnelId], { env });
    assert.equal(await within('the exit', other.exited), 2);
    assert.match(other.log(), /none\.json' doesn't exist/);
    chmodSync(join(loaded, 'token'), 0o600);
    writeFileSync(join(loaded, 'token'), '');
    const empty = start([], { env });
    assert.equal(await within('the exit', empty.exited), 2);

    const named = join(home, 'named');
    mkdirSync(named);
    writeFileSync(join(named, 'credentials.json'), credentials, { mode: 0o400 });
    await registers(start([tunnelId], { env: { CREDENTIALS_DIRECTORY: named } }));
  });

  it('are refused in files that every user can read, with the command that mends it', async t => {
    const { home, token, credentials, start, registers, tunnelId } = await world(t);
    chmodSync(home, 0o755);
    const files = { token, 'tunnel.json': credentials };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(home, name), text);
      chmodSync(join(home, name), 0o644);
    }
    const runs = { token: ['--token-file', 'token'], 'tunnel.json': ['--credentials-file', 'tunnel.json', tunnelId] };
    for (const [name, args] of Object.entries(runs)) {
      const refused = start(args);
      assert.equal(await within('the exit', refused.exited), 2, refused.log());
      const [, remedy = ''] = await refused.logged(
        /can be read by every user of this machine\. Mend it with `(.*)` \[credentials/,
      );
      assert.equal(remedy, `chmod 600 ${join(home, name)}`);
      assert.equal(spawnSync('sh', ['-c', remedy]).status, 0);
      await registers(start(args));
      // Where the directory keeps others out, the file's mode does not matter.
      chmodSync(join(home, name), 0o644);
      chmodSync(home, 0o700);
      await registers(start(args));
      chmodSync(home, 0o755);
    }
  });

  it('are refused the same in the certificate of an account', async t => {
    const home = await temporaryDirectory(t);
    chmodSync(home, 0o755);
    const json = JSON.stringify({ zoneID: 'z', accountID: 'a', apiToken: 'x' });
    const pem = Buffer.from(json).toString('base64');
    const path = join(home, 'it is.pem');
    writeFileSync(path, `-----BEGIN ARGO TUNNEL TOKEN-----\n${pem}\n-----END ARGO TUNNEL TOKEN-----\n`);
    chmodSync(path, 0o644);
    const { code, stderr } = await runPostern(home, ['tunnel', '--origincert', 'it is.pem', 'list']);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`Mend it with \`chmod 600 '${path}'\` \\[credentials\\.invalid\\]\n`));
  });

  it('are taken from a read-only mount whatever its modes, as containers have it', { skip: mounts }, async t => {
    const { home, token, start, registers } = await world(t);
    const secrets = join(home, 'secrets');
    mkdirSync(secrets);
    chmodSync(home, 0o755);
    const script = [
      `mount -t tmpfs -o mode=755 secrets ${secrets}`,
      `(umask 022; printf %s "$T" > ${secrets}/token)`,
      `mount -o remount,ro ${secrets}`,
      'unset T',
      'exec "$@"',
    ];
    const prefix = ['unshare', '--mount', 'sh', '-ec', script.join('\n'), 'sh'];
    await registers(start(['--token-file', join(secrets, 'token')], { prefix, env: { T: token } }));
  });
});
