// `postern update` of a single binary as it is published, from a server that is honest, or not.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmod, link, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { buildBinary } from '../../scripts/build/binary.ts';
import { manifest } from '../../scripts/build/package-tree.ts';
import { hostTarget } from '../../scripts/build/targets.ts';
import { makeReleaseSigner, releaseListText, validFor } from '../../scripts/package/releases.ts';
import { startChild } from '../support/child-program.ts';
import { SmallEdge } from '../support/small-edge.ts';
import { openReleaseServer, type ReleaseServer } from './release-server.ts';

const newVersion = '99.0.0';

interface Outcome {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never ends. */
function* spaces() {
  for (;;) yield Buffer.alloc(64 * 1024, ' ');
}

describe('postern update', { skip: hostTarget === undefined || process.platform === 'win32', timeout: 300_000 }, () => {
  let directory: string;
  let server: ReleaseServer;
  let [current, next] = ['', ''];
  let installations = 0;

  before(async () => {
    if (hostTarget === undefined) return;
    // Beside each other, so that a copy of 130 MB is a link.
    directory = await mkdtemp(join(tmpdir(), 'postern-update-test-'));
    server = await openReleaseServer(directory, hostTarget.name);
    const updates = { url: server.url, roots: server.signer.roots };
    [current, next] = [join(directory, 'current'), join(directory, 'next')];
    await buildBinary(hostTarget, current, { updates });
    await buildBinary(hostTarget, next, { updates, version: newVersion });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** A folder with the program in it, as somebody put it there. */
  async function install(program = current): Promise<string> {
    installations += 1;
    const folder = join(directory, `installed-${installations}`);
    await mkdir(folder);
    await link(program, join(folder, 'postern'));
    return folder;
  }

  async function run(folder: string, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    await using child = startChild([join(folder, 'postern'), ...args], {
      home: folder,
      env: { ...server.env, ...env },
    });
    return { code: await child.exited, stdout: child.output(), stderr: child.log() };
  }

  const versionIn = async (folder: string): Promise<string> =>
    (await run(folder, ['version', '--short'])).stdout.trim();

  /** A program that is a script, offered as `version`. */
  async function script(version: string, text: string) {
    const path = join(directory, `script-${version}`);
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    return server.offer(version, path);
  }

  /** Tries an update that must fail; the program and its folder must be as before. */
  async function refused(pattern: RegExp, args: readonly string[] = [], env: Record<string, string> = {}) {
    const folder = await install();
    const { code, stdout, stderr } = await run(folder, ['update', ...args], env);
    assert.match(stderr, pattern);
    assert.deepEqual([code, stdout], [10, '']);
    assert.deepEqual(
      (await readdir(folder)).filter(name => !/^\.postern\.update\.json$/.test(name)),
      ['postern'],
    );
    assert.equal((await stat(join(folder, 'postern'))).ino, (await stat(current)).ino);
    return folder;
  }

  it('puts a newer release in place, keeps the earlier program, and has nothing to do then', async () => {
    server.publish([server.offer(manifest.version, current), server.offer(newVersion, next)]);
    const folder = await install();
    const { code, stdout, stderr } = await run(folder, ['update']);
    assert.equal(code, 11, stderr);
    assert.equal(
      stdout,
      `Updated Postern from ${manifest.version} to ${newVersion}. The earlier program is ${join(folder, 'postern.old')}\n`,
    );
    assert.equal(await versionIn(folder), newVersion);
    assert.deepEqual((await readdir(folder)).sort(), ['.postern.update.json', 'postern', 'postern.old']);
    assert.equal((await stat(join(folder, 'postern.old'))).ino, (await stat(current)).ino);
    assert.equal((await stat(join(folder, 'postern'))).mode & 0o777, 0o755);
    const again = await run(folder, ['update', '--output', 'json']);
    assert.deepEqual([again.code, JSON.parse(again.stdout)], [0, { version: newVersion, updated: false }]);
  });

  it('goes back only when told to twice', async () => {
    server.publish([server.offer('0.0.1', next), server.offer(newVersion, next)]);
    await refused(/^Version 0\.0\.1 is older than \S+, which runs/, ['--version', '0.0.1']);
    await refused(/^There is no version "5\.0\.0"; there are 0\.0\.1, 99\.0\.0/, ['--version', '5.0.0']);
    server.publish([server.offer(manifest.version, current), server.offer(newVersion, next)]);
    const folder = await install(next);
    const { code } = await run(folder, ['update', '--version', manifest.version, '--force']);
    assert.deepEqual([code, await versionIn(folder)], [11, manifest.version]);
  });

  it('takes candidates with --beta only', async () => {
    const beta = '99.1.0-beta.1';
    server.publish([server.offer(manifest.version, current), await script(beta, `echo postern version ${beta}`)]);
    assert.equal((await run(await install(), ['update'])).code, 0);
    // It is fetched and tried; what it lacks to be one of ours it is told.
    await refused(/The new program does not come up: .*ends with 0 instead of starting/, ['--beta']);
  });

  it('refuses lists that nobody it believes has signed', async () => {
    const releases = [server.offer(newVersion, next)];
    server.publish(releases, { signer: makeReleaseSigner() });
    await refused(/^The signing keys are not signed by a root that this program knows/);
    // A key of somebody else beside the true word of the roots.
    server.publish(releases, { signer: { ...server.signer, key: makeReleaseSigner().key } });
    await refused(/^The list of releases is not signed by a key that the roots vouch for/);
    const text = server.publish(releases).replaceAll(newVersion, '99.0.1');
    server.answers.set('/releases.json', (_request, response) => response.end(text));
    await refused(/^The list of releases is not signed/);
    // What the roots signed as one thing is not another.
    const { signer } = server;
    const crossed = releaseListText({ ...validFor(1), releases }, signer);
    const { releases: signed } = JSON.parse(crossed);
    server.answers.set('/releases.json', (_request, response) =>
      response.end(JSON.stringify({ signingKeys: signed, releases: signed })),
    );
    await refused(/^The signing keys are not signed by a root/);
    server.answers.set('/releases.json', (_request, response) => response.end('<html>'));
    await refused(/^The list of releases is not JSON/);
  });

  it('refuses lists that are out of date, and older ones than it has seen', async () => {
    const releases = [server.offer(newVersion, next)];
    server.publish(releases, { days: -1 });
    await refused(/^The list of releases held until /);
    const old = server.publish([server.offer(manifest.version, current)]);
    const folder = await install();
    // Issue has a grain of a millisecond.
    while (validFor(1).issued <= JSON.parse(JSON.parse(old).releases.text).issued);
    server.publish([]);
    assert.equal((await run(folder, ['update'])).code, 0);
    server.answers.set('/releases.json', (_request, response) => response.end(old));
    const { code, stderr } = await run(folder, ['update']);
    assert.equal(code, 10);
    assert.match(stderr, /older than what was seen before.*somebody shows an old one/);
  });

  it('refuses a program that is not what was released', async () => {
    const release = await script(newVersion, `echo postern version ${newVersion}`);
    server.publish([release]);
    const [program] = Object.values(release.programs);
    assert.ok(program !== undefined && hostTarget !== undefined);
    const path = `/${program.name}`;
    // Half of it, over a connection that ends in order.
    server.answers.set(path, (_request, response) => response.end(Buffer.alloc(10)));
    await refused(/broke off after 10 of \d+ bytes/);
    // Half of it, over one that does not.
    server.answers.set(path, (_request, response) => {
      response.writeHead(200, { 'Content-Length': program.bytes }).write(Buffer.alloc(10), () => response.destroy());
    });
    await refused(/cannot be fetched: /);
    server.answers.set(path, (_request, response) => {
      response.write(Buffer.alloc(program.bytes));
      response.end('more');
    });
    await refused(/is longer than the \d+ bytes released/);
    server.answers.set(path, (_request, response) => response.end(Buffer.alloc(program.bytes)));
    await refused(/is not what was released: its SHA-256 is [0-9a-f]{64}, not /);
    server.answers.delete(path);
    await refused(/unable to check for update: 404 from /);
    server.publish([{ version: newVersion, programs: { 'plan9-mips': program } }]);
    await refused(/^Version 99\.0\.0 has no program for /);
    // Another folder than the list's is none of the publisher's.
    server.publish([{ version: newVersion, programs: { [hostTarget.name]: { ...program, name: '../etc/passwd' } } }]);
    await refused(/^The list of releases is not as it should be: releases\.0\.programs/);
  });

  it('refuses a list without end', async () => {
    server.answers.set('/releases.json', (_request, response) => {
      // Ends with the client's leaving.
      pipeline(Readable.from(spaces()), response, () => undefined);
    });
    await refused(/longer than 1048576 bytes/);
  });

  it('stays with HTTPS, and with servers that this machine trusts', async () => {
    await using plain = createServer((_request, response) => response.end('{}'));
    await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve));
    const http = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/releases.json`;
    const leadTo = (location: string) =>
      server.answers.set('/releases.json', (_request, response) => response.writeHead(302, { location }).end());
    leadTo(http);
    await refused(/^Updates are fetched by HTTPS only, not from "http:/);
    await refused(/^Updates are fetched by HTTPS only, not from "http:/, ['--url', http]);
    await refused(/^Updates are fetched by HTTPS only, not from "file:/, ['--url', 'file:///etc/passwd']);
    leadTo('/releases.json');
    await refused(/leads from one place to another more than 5 times/);
    server.publish([server.offer(newVersion, next)]);
    await refused(/cannot be fetched: .*(certificate|signed)/, [], { NODE_EXTRA_CA_CERTS: '' });
    // A redirect to another place of the same kind is followed.
    server.answers.set('/moved.json', (_request, response) =>
      response.end(releaseListText({ ...validFor(1), releases: [] }, server.signer)),
    );
    leadTo('/moved.json');
    assert.equal((await run(await install(), ['update'])).code, 0);
  });

  it('does not install a program that does not come up', async () => {
    const says = `[ "$1" = --version ] && echo postern version ${newVersion} && exit 0`;
    server.publish([await script(newVersion, 'echo no libc >&2; exit 127')]);
    await refused(/The new program does not come up: .*says "", not its version, 99\.0\.0, and ends with 127: no libc/);
    server.publish([await script(newVersion, `${says}\necho cannot start >&2; exit 1`)]);
    await refused(/The new program does not come up: .*ends with 1 instead of starting.*: cannot start/);
    server.publish([
      await script(newVersion, `${says}\necho Starting metrics server on 127.0.0.1:1 >&2; exec sleep 60`),
    ]);
    await refused(/The new program does not come up: .*does not answer its health check/);
    // Another version than the list says.
    server.publish([{ ...server.offer(manifest.version, current), version: '98.0.0' }]);
    await refused(/says "postern version 0\.1\.0", not its version, 98\.0\.0/);
  });

  it('puts the earlier one back when the new one does not run under its own name', async () => {
    const text = `case "$0" in *.new) exec '${next}' "$@" ;; esac\necho denied >&2; exit 126`;
    server.publish([await script(newVersion, text)]);
    await refused(/The new program does not come up: .*postern says "", not its version, .* 126: denied/);
  });

  it('waits for no other update, and for none that was killed', async () => {
    server.publish([]);
    const folder = await install();
    const lock = join(folder, '.postern.update.lock');
    await writeFile(lock, String(process.pid));
    const busy = await run(folder, ['update']);
    assert.equal(busy.code, 10);
    assert.match(busy.stderr, new RegExp(`^Another update is at work, process ${process.pid} `));
    const ended = startChild(['/bin/true'], { home: folder });
    await ended.exited;
    await writeFile(lock, String(ended.pid));
    await writeFile(join(folder, 'postern.new'), 'half');
    assert.equal((await run(folder, ['update'])).code, 0);
    assert.deepEqual((await readdir(folder)).sort(), ['.postern.update.json', 'postern']);
  });

  it('leaves a program of a package manager to it', async () => {
    const folder = join(directory, 'lib/node_modules/postern');
    await mkdir(folder, { recursive: true });
    await link(current, join(folder, 'postern'));
    const before = server.asked.length;
    const { code, stdout } = await run(folder, ['update']);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      'Postern was installed by npm. Please update using the same method: npm install --global postern@latest\n',
    );
    const inside = await run(await install(), ['update'], { POSTERN_PACKAGE: 'container' });
    assert.equal(inside.code, 0);
    assert.match(inside.stdout, /^Postern was installed by a container image\. .*: pull a newer image/);
    assert.equal(server.asked.length, before);
  });

  it('says who may write where it may not', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
    server.publish([]);
    const folder = await install();
    await chmod(directory, 0o755);
    await using child = startChild(
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', join(folder, 'postern'), 'update'],
      { home: folder, env: server.env },
    );
    assert.equal(await child.exited, 10);
    assert.match(
      child.log(),
      /^Cannot write .*\.update\.lock\. Update as the user who may write there: sudo postern update/,
    );
    assert.match(await readFile(join(folder, 'postern'), 'latin1'), /^\x7fELF/);
  });

  describe('of a connector at work', () => {
    const run = async (folder: string, args: readonly string[], env: Record<string, string> = {}) => {
      const edge = await SmallEdge.open();
      const tokenFile = join(folder, 'token');
      const token = encodeToken({
        accountTag: 'account-tag',
        tunnelId: createTunnelId(),
        secret: Buffer.alloc(32, 1),
        edge: [`127.0.0.1:${edge.port}`],
        caPin: spkiPin(new X509Certificate(edge.ca.cert)),
      });
      await writeFile(tokenFile, token, { mode: 0o600 });
      const words = ['tunnel', '--hello-world', '--metrics', '127.0.0.1:0', '--no-prechecks', '--log-format', 'text'];
      const child = startChild([join(folder, 'postern'), ...words, ...args, 'run', '--token-file', tokenFile], {
        home: folder,
        env: { ...server.env, ...env },
      });
      return {
        child,
        [Symbol.asyncDispose]: async () => {
          await child[Symbol.asyncDispose]();
          await edge.close();
        },
      };
    };

    it('ends with 11, to be started again as the new version', async () => {
      server.publish([server.offer(newVersion, next)]);
      const folder = await install();
      await using first = await run(folder, ['--autoupdate-freq', '1s']);
      await first.child.logged(/Registered tunnel connection/);
      assert.equal(await first.child.exited, 11);
      assert.match(first.child.log(), /Initiating graceful shutdown due to the update to 99\.0\.0 /);
      assert.match(first.child.log(), /Tunnel server stopped/);
      await using second = await run(folder, ['--autoupdate-freq', '1s']);
      await second.child.logged(/Version 99\.0\.0/);
      await second.child.logged(/Registered tunnel connection/);
      assert.equal(await second.child.stop(), 0);
    });

    it('takes its own place where nobody starts it again', async () => {
      server.publish([server.offer(newVersion, next)]);
      await using tunnel = await run(await install(), ['--autoupdate-freq', '1s'], { POSTERN_RESTART: 'exec' });
      const { child } = tunnel;
      await child.logged(/Tunnel server stopped.*Version 99\.0\.0.*Registered tunnel connection/s);
      assert.deepEqual([child.child.exitCode, await child.stop()], [null, 0]);
    });

    it('goes on with what it is when there is nothing better, or nobody wants it', async () => {
      const { length } = server.asked;
      server.publish([await script(newVersion, 'echo broken >&2; exit 1')]);
      const folder = await install();
      await using tunnel = await run(folder, ['--autoupdate-freq', '1s']);
      await tunnel.child.logged(/ERR The update failed; this version goes on.*does not come up.*broken/);
      assert.equal(await tunnel.child.stop(), 0);
      const asked = server.asked.length;
      assert.ok(asked > length);
      for (const args of [
        ['--autoupdate-freq', '1s', '--no-autoupdate'],
        ['--autoupdate-freq', '0'],
      ]) {
        await using silent = await run(folder, args);
        await silent.child.logged(/Registered tunnel connection/);
        // More than a period.
        await new Promise(resolve => setTimeout(resolve, 1_200));
        assert.equal(await silent.child.stop(), 0);
      }
      assert.equal(server.asked.length, asked);
    });
  });
});
