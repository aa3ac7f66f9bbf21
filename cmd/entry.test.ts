// The program's entry: under a Node that is too old for it, and called through npm.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { it } from 'node:test';
import { until } from '../test/support/wait.ts';

const entry = join(import.meta.dirname, 'postern.js');

/** A Node below 24 on this machine, as Debian has one. */
function oldNode(): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return places
    .map(place => join(place, 'node'))
    .find(path => {
      const { stdout, status } = spawnSync(path, ['-p', 'parseInt(process.versions.node)'], { encoding: 'utf8' });
      return status === 0 && Number(stdout) < 24;
    });
}

it('takes relative paths from the directory that npm was called in', { skip: process.platform === 'win32' }, t => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-cwd-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'here.yml'), 'ingress: [{service: "http_status:404"}]\n');
  const root = join(import.meta.dirname, '..');
  const { stdout, stderr } = spawnSync(
    'sh',
    ['scripts/with-node.sh', 'cmd/postern.js', 'tunnel', '--config', 'here.yml', 'ingress', 'validate'],
    { cwd: root, encoding: 'utf8', timeout: 60_000, env: { ...process.env, INIT_CWD: directory } },
  );
  assert.match(stdout, new RegExp(`Validating rules from ${join(directory, 'here.yml')}`), stderr);
});

it('runs in a directory that was removed, and looks for nothing elsewhere', {
  skip: process.platform === 'win32',
}, t => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-gone-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const run = (...words: readonly string[]) => {
    const script = 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"';
    return spawnSync('sh', ['-c', script, directory, process.execPath, entry, ...words], {
      encoding: 'utf8',
      timeout: 60_000,
    });
  };
  const version = run('--version');
  assert.match(version.stdout, /^postern version /, version.stderr);
  const { stderr, status } = run('tunnel', 'run', '--token-file', 'token');
  assert.equal(status, 64, stderr);
  assert.match(stderr, /token file: .*\/gone\/token does not exist/);
});

it('is in no shell of npm, which would not pass a SIGTERM on', { skip: process.platform === 'win32' }, async t => {
  const home = mkdtempSync(join(tmpdir(), 'postern-npm-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const flags = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
  const npm = spawn('npm', ['run', '-s', 'postern', '--', 'edge', 'run', '--state-dir', home, ...flags], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, HOME: home },
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => {
    try {
      process.kill(-(npm.pid ?? assert.fail()), 'SIGKILL');
    } catch {
      // All of them have ended.
    }
  });
  let log = '';
  npm.stderr.setEncoding('utf8').on('data', chunk => {
    log += chunk;
  });
  await until('the edge is ready', () => log.includes('Edge ready'));
  npm.kill('SIGTERM');
  await until('the edge has stopped', () => log.includes('Edge stopped'), 15_000);
});

it('says which Node is needed', t => {
  const node = oldNode();
  if (node === undefined) {
    t.skip('no Node below 24 on this machine');
    return;
  }
  const { status, stderr } = spawnSync(node, [entry, 'version'], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 1);
  assert.match(stderr, /^Postern needs Node\.js 24 or newer; this is v\d+\.\d+\.\d+, \S+\. .*\n$/);
});
