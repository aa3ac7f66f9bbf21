// Public certificates as an operator gets them: `edge run --acme`, a routed name, curl that trusts the authority's root, and
// `edge certificates`. The authority is pebble.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { checkPrinted } from '../support/check-printed.ts';
import { Pebble } from '../support/pebble.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { haveTools } from '../support/tools.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const name = 'app.example.test';

it('serves a routed name with a certificate that curl trusts, and lists it', async t => {
  const pebble = await Pebble.find(t);
  if (pebble === undefined || !(await haveTools(t, 'curl'))) return;
  const home = await temporaryDirectory(t);
  const macKey = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY';
  const externalFile = join(home, 'eab');
  await writeFile(externalFile, `kid-7\n${macKey}\n`, { mode: 0o600 });
  const flags = [
    ...[
      'edge',
      'run',
      '--domain',
      'example.test',
      '--host',
      '127.0.0.1',
      '--name',
      '127.0.0.1',
      '--grace-period',
      '1s',
    ],
    ...['--http-port', '0', '--https-port', '0', '--connector-port', '0', '--api', '127.0.0.1:0'],
    ...['--acme', 'you@example.com', '--acme-directory', pebble.directoryUrl, '--acme-ca', pebble.caFile],
    ...['--acme-eab-file', externalFile],
  ];
  const edge = startProgram(t, flags, { home });
  const port = async (what: string): Promise<number> =>
    Number((await edge.logged(new RegExp(`Listening for ${what} visitors address=\\S+?:(\\d+)`)))[1]);
  const [httpPort, tlsPort] = [await port('HTTP'), await port('HTTPS')];
  await edge.logged(/There is no public certificate yet.*authority=/);
  await edge.logged(/Edge ready/);
  for (const words of ['tunnel create app', `tunnel route dns app ${name}`]) {
    const { code, stderr } = await runPostern(home, words.split(' '));
    assert.equal(code, 0, stderr);
  }
  await pebble.start({ names: [name], httpPort, tlsPort, externalKeys: { 'kid-7': macKey } });
  const root = join(home, 'root.pem');
  await writeFile(root, await pebble.rootPem());
  const curl = ['--silent', '--show-error', '--cacert', root, '--resolve', `${name}:${tlsPort}:127.0.0.1`];
  const status = ['--output', '/dev/null', '--write-out', '%{http_code}', `https://${name}:${tlsPort}/`];
  await until('curl to trust the certificate', async () => {
    try {
      // No connector runs: the answer is the edge's own.
      return (await run('curl', [...curl, ...status], { timeout: 20_000 })).stdout.startsWith('5');
    } catch {
      return false;
    }
  });
  const { stdout } = await runPostern(home, ['edge', 'certificates', '--output', 'json']);
  const listed = checkPrinted('edge certificates', stdout) as readonly Record<string, unknown>[];
  const shown = listed.find(({ source }) => source === 'authority');
  assert.deepEqual([shown?.names, shown?.failures, shown?.problem], [[name], 0, null]);
  assert.match(String(shown?.issuer), /^Pebble Intermediate CA/);
  const table = (await runPostern(home, ['edge', 'certificates'])).stdout;
  assert.match(table, /^NAMES +ISSUER +EXPIRES +LAST ATTEMPT +NEXT +PROBLEM/);
  assert.ok(!edge.log().includes(macKey));
});

it('refuses settings that could not work, and a key that everybody can read', async t => {
  const home = await temporaryDirectory(t);
  const file = join(home, 'eab');
  await writeFile(file, 'kid-7\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n');
  await Promise.all([chmod(home, 0o755), chmod(file, 0o644)]);
  const ports = ['--http-port', '0', '--https-port', '0', '--connector-port', '0', '--api', '127.0.0.1:0'];
  const cases: readonly (readonly [flags: readonly string[], code: number, said: RegExp])[] = [
    [['--acme', 'nobody'], 64, /--acme "nobody" is not a mail address/],
    [['--acme', 'a@example.com', '--acme-directory', 'http://ca.example/dir'], 64, /is not an https:\/\/ URL/],
    [['--acme-ca', 'ca.pem'], 64, /--acme-ca is for --acme/],
    [['--acme', 'a@example.com', '--acme-eab-file', file], 2, /can be read by every user/],
    [['--acme', 'a@example.com', '--acme-dns', ':0', '--acme-dns-hook', 'x'], 64, /exclude each other/],
    [['--acme', 'a@example.com', '--cert', 'a.pem', '--key', 'a.key'], 3, /exclude each other/],
  ];
  for (const [flags, code, said] of cases) {
    const outcome = await runPostern(home, ['edge', 'run', '--domain', 'example.test', ...ports, ...flags]);
    assert.deepEqual([outcome.code, said.test(outcome.stderr)], [code, true], `${flags.join(' ')}: ${outcome.stderr}`);
  }
});
