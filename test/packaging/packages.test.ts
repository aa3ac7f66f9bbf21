// The Linux packages: the same bytes twice, installed by apt and dnf from their signed repositories, refused when something was
// changed, removed without a trace.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { manifest } from '../../scripts/build/package-tree.ts';
import { openSigner } from '../../scripts/package/signing.ts';
import { requirePackagingTools } from '../../scripts/package/tools.ts';
import { haveCommand } from '../support/debian-package.ts';
import { inDebian, overlayLacks } from './debian-overlay.ts';
import { type MadePackages, makePackages } from './made-packages.ts';

const run = promisify(execFile);

/** apt with nothing but our source, and the source itself. */
const withSource = `
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
cp /srv/apt/postern.sources /etc/apt/sources.list.d/
# The index of manual pages takes long, and is none of ours.
rm -f /var/lib/man-db/auto-update
`;
/** What has come since the mark and has the program's name, beside what apt keeps of every source. */
const mark = 'touch /run/mark';
const traces = `find /etc /usr /var -xdev -cnewer /run/mark -name '*postern*' | grep -v -e ^/etc/apt -e ^/var/lib/apt -e ^/var/cache || true`;

describe('packages of Linux', { skip: overlayLacks() ?? false, timeout: 280_000 }, () => {
  let made: MadePackages;
  before(async () => {
    requirePackagingTools();
    made = await makePackages();
  });
  after(() => made?.[Symbol.asyncDispose]());

  const succeeds = async (script: string, srv = made.repositories): Promise<string> => {
    const { code, output } = await inDebian(srv, script);
    assert.equal(code, 0, output);
    return output;
  };
  /** A copy of the repositories that a test may change, as /srv; apt and dnf read it by file:. */
  const copyOf = async (name: string): Promise<string> => {
    const copy = join(made.folder, name);
    await cp(made.repositories, copy, { recursive: true });
    for (const file of ['apt/postern.sources', 'yum/postern.repo']) {
      const text = await readFile(join(copy, file), 'utf8');
      await writeFile(join(copy, file), text.replaceAll(made.url, 'file:///srv'));
    }
    return copy;
  };

  it('are the same bytes when they are made again', async () => {
    await run('diff', ['--recursive', '--brief', made.repositories, await made.again()]);
  });

  it('are installed by apt, run, and leave nothing behind', async () => {
    const output = await succeeds(`${withSource}
      ${mark}
      apt-get update -q
      apt-get install -q -y postern
      echo "version: $(postern --version)"
      echo "user: $(getent passwd postern)"
      stat --format 'mode: %a %U %n' /usr/bin/postern /etc/postern
      postern completion fish | cmp - /usr/share/fish/vendor_completions.d/postern.fish
      systemd-analyze verify /usr/lib/systemd/system/postern*.service && echo units: ok
      zcat /usr/share/man/man1/postern-tunnel-run.1.gz | grep -q 'token' && echo pages: ok
      echo "update: $(postern update)"
      touch /etc/postern/token
      apt-get purge -q -y postern
      echo "left: $(${traces})"
      getent passwd postern || echo no user`);
    for (const line of [
      `version: postern version ${manifest.version}`,
      /user: postern:x:\d+:\d+:Postern:\/var\/lib\/postern:\/usr\/sbin\/nologin/,
      'mode: 755 root /usr/bin/postern\nmode: 755 root /etc/postern',
      'units: ok',
      'pages: ok',
      'update: Postern was installed by dpkg. Please update using the same method: sudo apt-get update && sudo apt-get install',
      'left: \nno user',
    ])
      assert.match(output, typeof line === 'string' ? new RegExp(literally(line)) : line);
  });

  it('keep the state of an edge through a purge, with the user it belongs to', async () => {
    const output = await succeeds(`${withSource}
      ${mark}
      apt-get update -q && apt-get install -q -y postern
      install -d -o postern /var/lib/postern/edge /var/lib/postern/default && echo state > /var/lib/postern/edge/edge.db
      printf '# Written by \`postern service install\`\\n' > /etc/systemd/system/postern@web.service
      echo mine > /etc/systemd/system/postern@mine.service
      apt-get purge -q -y postern
      ${traces}
      stat --format '%U' /var/lib/postern/edge`);
    const left = ['/etc/systemd/system/postern@mine.service', '/var/lib/postern', 'postern'];
    assert.ok(output.includes('The state of edges stays in /var/lib/postern'), output);
    assert.deepEqual(output.trimEnd().split('\n').slice(-3).toSorted(), left.toSorted(), output);
  });

  it('restart what runs when they are upgraded, after the new program is there, and stop it when they are removed', async () => {
    // What is asked of systemd is written down; test/systemd/services.ts shows that it loses no request.
    const output = await succeeds(`${withSource}
      apt-get update -q && apt-get install -q -y postern
      mkdir -p /run/systemd/system
      rm /usr/bin/systemctl
      printf '#!/bin/sh\\necho "systemctl: $* ($(postern --version 2>&1 | head -c 7))"\\n' > /usr/bin/systemctl && chmod 755 /usr/bin/systemctl
      apt-get install -q -y --reinstall postern
      apt-get remove -q -y postern`);
    const asked = [...output.matchAll(/^systemctl: (.*)$/gm)].map(([, words = '']) => words);
    const units = 'postern.service postern@*.service postern-edge.service';
    assert.deepEqual(
      asked.filter(words => /restart|stop|start/.test(words)),
      [`try-restart ${units} (postern)`, `stop ${units} (postern)`],
    );
  });

  it('are refused by apt when the list, the signature or the package was changed', async () => {
    const script = `${withSource}
      apt-get -q -o APT::Update::Error-Mode=any update && apt-get install -q -y postern`;
    const changed = await copyOf('changed');
    const list = join(changed, 'apt/dists/any/InRelease');
    const signed = await readFile(list, 'utf8');
    await writeFile(list, signed.replace('Label: Postern', 'Label: Postorn'));
    const badList = await inDebian(changed, script);
    assert.notEqual(badList.code, 0);
    assert.match(badList.output, /BADSIG/);

    await writeFile(list, signed);
    const deb = join(changed, `apt/pool/main/p/postern/postern_${manifest.version}_amd64.deb`);
    const bytes = await readFile(deb);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
    await writeFile(deb, bytes);
    const badPackage = await inDebian(changed, script);
    assert.notEqual(badPackage.code, 0);
    assert.match(badPackage.output, /Hash Sum mismatch/);

    const sources = join(changed, 'apt/postern.sources');
    using stranger = openSigner({ kind: 'test' }, 1_700_000_000);
    const key = stranger.publicKey
      .trimEnd()
      .split('\n')
      .map(line => (line === '' ? ' .' : ` ${line}`));
    await writeFile(
      sources,
      `${(await readFile(sources, 'utf8')).split('Signed-By:')[0]}Signed-By:\n${key.join('\n')}\n`,
    );
    const strange = await inDebian(changed, script);
    assert.notEqual(strange.code, 0);
    assert.match(strange.output, /NO_PUBKEY/);
  });

  describe('by dnf', () => {
    /** Debian has none of Fedora's packages, so one stands in for those that ours needs. */
    const base = `Name: base
Version: 1
Release: 1
Summary: What the distribution brings
License: none
BuildArch: noarch
Provides: glibc = 2.39, libstdc++, libatomic, shadow-utils, /bin/sh
%description
Nothing.
%files
`;
    const script = `
      mkdir -p /etc/yum.repos.d && cp /srv/yum/postern.repo /etc/yum.repos.d/
      rpm --initdb && rpm --install --nodeps /srv/base.rpm
      dnf --assumeyes --setopt=install_weak_deps=False --releasever=9 install postern`;

    it('are installed, run, and removed', async t => {
      if (!haveCommand('dnf', ['dnf'])) return t.skip('dnf is not here and could not be installed');
      await makeBase(made.repositories);
      const output = await succeeds(`${script}
        echo "version: $(postern --version)"
        echo "user: $(getent passwd postern)"
        rpm --verify postern && echo verified
        systemd-analyze verify /usr/lib/systemd/system/postern*.service && echo units: ok
        rpm --query --qf 'signed: %{RSAHEADER:pgpsig}\\n' postern
        echo "update: $(postern update)"
        dnf --assumeyes remove postern
        ls /usr/bin/postern /etc/postern 2>&1 || true`);
      for (const line of [
        new RegExp(`^version: postern version ${literally(manifest.version)}$`, 'm'),
        /^user: postern:x:.*:\/sbin\/nologin$/m,
        /^verified$/m,
        /^units: ok$/m,
        /^signed: RSA\/SHA512/m,
        /^update: Postern was installed by rpm\. .*: sudo dnf upgrade postern$/m,
        /'\/usr\/bin\/postern': No such file[\s\S]*'\/etc\/postern': No such file/,
      ])
        assert.match(output, line);
    });

    it('are refused when the index or the package is not what was signed', async t => {
      if (!haveCommand('dnf', ['dnf'])) return t.skip('dnf is not here and could not be installed');
      const changed = await copyOf('changed-yum');
      await makeBase(changed);
      const index = join(changed, 'yum/repodata/repomd.xml');
      const signed = await readFile(index, 'utf8');
      await writeFile(index, signed.replace('<repomd', '<repomd  '));
      const badIndex = await inDebian(changed, script);
      assert.notEqual(badIndex.code, 0);
      assert.match(badIndex.output, /GPG signature verification error|repomd\.xml GPG/);

      // A package without a signature in an index that is signed.
      await writeFile(index, signed);
      const rpm = join(changed, 'yum/packages', `postern-${manifest.version}-1.x86_64.rpm`);
      await run('rpmsign', ['--delsign', rpm]);
      await run('createrepo_c', ['--quiet', join(changed, 'yum')]);
      made.signer.signDetached(index, `${index}.asc`);
      const unsigned = await inDebian(changed, script);
      assert.notEqual(unsigned.code, 0);
      assert.match(unsigned.output, /is not signed|GPG check FAILED/);
    });

    async function makeBase(folder: string): Promise<void> {
      const top = join(made.folder, 'base');
      await mkdir(top, { recursive: true });
      await writeFile(join(top, 'base.spec'), base);
      await run('rpmbuild', ['-bb', '--quiet', '--define', `_topdir ${top}`, join(top, 'base.spec')]);
      await copyFile(join(top, 'RPMS/noarch/base-1-1.noarch.rpm'), join(folder, 'base.rpm'));
    }
  });

  it('are in a container that has the C library and no other program', async () => {
    const file = await readFile(new URL('../../packaging/container/Containerfile', import.meta.url), 'utf8');
    const [, step = ''] = /^RUN (mkdir -p \/root-of-image[\s\S]*?)\n\n/m.exec(file) ?? [];
    const [, check = ''] = /^HEALTHCHECK .*CMD (.*)$/m.exec(file) ?? [];
    const image = join(made.folder, 'image');
    await mkdir(image, { recursive: true });
    await copyFile(made.binary, join(image, 'postern'));
    const words = (JSON.parse(check) as string[]).join(' ');
    const output = await succeeds(
      `(${step})
      mkdir -p /root-of-image/usr/bin && install -m755 /srv/postern /root-of-image/usr/bin/
      chroot --userspec=65532:65532 /root-of-image /usr/bin/postern --version
      chroot --userspec=65532:65532 /root-of-image ${words} || echo "health: $?"
      find /root-of-image -type f -perm /111 -not -name '*.so*'`,
      image,
    );
    assert.match(output, new RegExp(`^postern version ${literally(manifest.version)}$`, 'm'));
    assert.match(output, /Nobody answers on localhost:20241[\s\S]*^health: 1$/m);
    assert.match(output, /\n\/root-of-image\/usr\/bin\/postern\n$/);
  });
});

/** A text as a pattern for itself. */
function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
