// Definitions for every service manager, read by that manager's own tools or by a parser that is not ours.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { haveCommand } from '../../test/support/debian-package.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { choosePlatform } from './choose.ts';
import { installedServices, installService, uninstallService } from './install.ts';
import { launchd } from './launchd.ts';
import { openrc } from './openrc.ts';
import type { ServicePlatform, ServiceSpec, ServiceSystem } from './service.ts';
import { systemd } from './systemd.ts';
import { updateFiles } from './systemd-update.ts';
import { sysv } from './sysv.ts';
import { windows } from './windows.ts';

const secretText = 'aVeryLongTokenThatNobodyMaySee';
const odd = `it's "100%" \\ $HOME & <b>`;

const token: ServiceSpec = {
  name: undefined,
  kind: 'connector',
  program: ['/usr/bin/env', 'postern'],
  flags: [],
  secret: { kind: 'token', text: secretText },
  config: undefined,
  user: undefined,
};
const withConfig: ServiceSpec = {
  ...token,
  name: 'web.1',
  flags: [`--label=${odd}`, '--protocol=http2'],
  secret: { kind: 'credentials', path: '/etc/postern/tunnel.json' },
  config: 'tunnel: web\ningress: [{ service: http_status:204 }]\n',
};
const edge: ServiceSpec = { ...token, name: 'edge', kind: 'edge', secret: undefined, flags: ['--domain=example.com'] };
const updated: ServiceSpec = { ...token, name: 'updated', program: ['/usr/bin/env'], updates: true };
const specs = [token, withConfig, edge];
const platforms = [systemd, openrc, sysv, launchd, windows];
const system: ServiceSystem = { root: '', homeDir: '/home/someone', isAdmin: true, uid: 0 };

/** The words that start the program, without what the platform adds before the script. */
function definitionText(platform: ServicePlatform, spec: ServiceSpec): string {
  const { definition } = platform.paths(spec.name, system);
  return platform.define(spec, system).files.find(({ path }) => path === definition)?.text ?? assert.fail();
}

/** What `script` (Python) prints as JSON of the text on its stdin. */
function python(script: string, input: string | Buffer): unknown {
  return JSON.parse(execFileSync('python3', ['-c', script], { input, encoding: 'utf8' }));
}

describe('service definitions', () => {
  it('hold no token: it is in a file of root’s alone', () => {
    for (const platform of platforms) {
      const { files, commands } = platform.define(token, system);
      const holding = files.filter(({ text }) => text.includes(secretText));
      assert.deepEqual(
        holding.map(({ path, mode }) => [path, mode]),
        [[platform.paths(undefined, system).token, 0o600]],
      );
      assert.ok(!commands.some(({ words }) => words.join(' ').includes(secretText)));
      for (const spec of specs) assert.doesNotMatch(definitionText(platform, spec), new RegExp(secretText));
    }
  });

  it('take no word with a line break, which could begin another setting', async t => {
    const root = await temporaryDirectory(t);
    const line = 'daemon\nExecStartPre=/bin/false';
    const wrong: readonly Partial<ServiceSpec>[] = [
      { user: line },
      { flags: [`--label=${line}`] },
      { program: [`/opt/${line}`] },
      { secret: { kind: 'credentials', path: `/etc/${line}` } },
    ];
    for (const part of wrong)
      await assert.rejects(installService({ ...token, ...part }, systemd, { ...system, root }), {
        code: 'usage.invalid',
        message: /control characters in ".*daemon\\nExecStartPre/,
      });
    assert.deepEqual(readdirSync(root), []);
  });

  it('have labels and files of their own for each instance', () => {
    for (const platform of platforms) {
      const all = specs.flatMap(spec => Object.values(platform.paths(spec.name, system)));
      assert.equal(new Set(all).size, all.length, platform.id);
    }
    assert.equal(systemd.paths('web', system).definition, '/etc/systemd/system/postern@web.service');
  });

  it('are units that systemd takes', async t => {
    if (!haveCommand('systemd-analyze', ['systemd'])) return t.skip('systemd-analyze is not here (package systemd)');
    const root = await temporaryDirectory(t);
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    // Stand for the program, and for what the units name beside it.
    for (const name of ['usr/bin/env', 'bin/kill', 'bin/sh']) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), '', { mode: 0o755 });
    }
    mkdirSync(join(root, 'usr/lib/systemd/system'), { recursive: true });
    for (const unit of [
      'sysinit',
      'basic',
      'shutdown',
      'multi-user',
      'network-online',
      'timers',
      'time-sync',
      'time-set',
    ])
      writeFileSync(
        join(root, `usr/lib/systemd/system/${unit}.target`),
        '[Unit]\nDescription=x\nDefaultDependencies=no\n',
      );
    writeFileSync(join(root, 'usr/lib/systemd/system/system.slice'), '[Unit]\nDescription=x\n');
    writeFileSync(join(root, 'usr/lib/systemd/system/-.slice'), '[Unit]\nDescription=x\nDefaultDependencies=no\n');
    const here = { ...system, root };
    for (const spec of specs) await installService(spec, systemd, here);
    for (const spec of [...specs, { ...edge, name: 'by-user', user: 'daemon' }]) {
      const { definition } = systemd.paths(spec.name, system);
      if (spec.name === 'by-user') await installService(spec, systemd, here);
      const { stderr, status } = spawnSync('systemd-analyze', ['verify', `--root=${root}`, definition], {
        encoding: 'utf8',
      });
      assert.equal(`${stderr}${status}`, '0', `${definition}:\n${readFileSync(join(root, definition), 'utf8')}`);
      const link = join(root, `etc/systemd/system/multi-user.target.wants/${definition.split('/').at(-1)}`);
      assert.ok(lstatSync(link).isSymbolicLink());
    }
    await installService(updated, systemd, here);
    for (const unit of ['postern-update@updated.service', 'postern-update@updated.timer']) {
      const checked = spawnSync('systemd-analyze', ['verify', `--root=${root}`, unit], { encoding: 'utf8' });
      assert.equal(`${checked.stderr}${checked.status}`, '0', unit);
    }
    assert.ok(lstatSync(join(root, 'etc/systemd/system/timers.target.wants/postern-update@updated.timer')));
    await uninstallService('updated', systemd, here);
    assert.deepEqual(
      readdirSync(join(root, 'etc/systemd/system'), { recursive: true, encoding: 'utf8' }).filter(name =>
        /update/.test(name),
      ),
      [],
    );
    // The check does find faults.
    const broken = join(root, 'etc/systemd/system/broken.service');
    writeFileSync(broken, definitionText(systemd, token).replace('/usr/bin/env', '/usr/bin/nothing'));
    assert.notEqual(
      spawnSync('systemd-analyze', ['verify', `--root=${root}`, '/etc/systemd/system/broken.service']).status,
      0,
    );
  });

  it('update the program and restart a connector that runs an older one, with systemd', async t => {
    const folder = await temporaryDirectory(t);
    const program = join(folder, "it's postern");
    const [service] = updateFiles({ ...updated, program: [program] });
    assert.match(definitionText(systemd, updated), /^ExecStart=\/usr\/bin\/env tunnel --no-autoupdate run$/m);
    const word = /^ExecStart=\/bin\/sh -c "(.*)"$/m.exec(service?.text ?? '')?.[1] ?? assert.fail();
    const script = word.replaceAll('$$', '$').replaceAll('\\"', '"').replaceAll('\\\\', '\\').replaceAll('%%', '%');
    // The manager that says which process it is, and is told to restart.
    const restarted = join(folder, 'restarted');
    writeFileSync(
      join(folder, 'systemctl'),
      '#!/bin/sh\nif [ "$1" = show ]; then echo "$MAIN_PID"; else echo "$*" >>"$RESTARTED"; fi\n',
      { mode: 0o755 },
    );
    copyFileSync('/bin/sleep', program);
    const connector = spawn(program, ['60'], { stdio: 'ignore' });
    t.after(() => connector.kill('SIGKILL'));
    await once(connector, 'spawn');
    const updateWith = (code: number, pid: number | undefined) => {
      const update = `#!/bin/sh\n[ "$*" = update ] || exit 99\nexit ${code}\n`;
      // A new file under the name, as an update makes it.
      if (code === 11) {
        renameSync(program, `${program}.old`);
        writeFileSync(program, update, { mode: 0o755 });
      }
      const env = { PATH: `${folder}:/usr/bin:/bin`, MAIN_PID: String(pid), RESTARTED: restarted };
      return spawnSync('/bin/sh', ['-c', script], { env }).status;
    };
    assert.equal(updateWith(11, connector.pid), 0);
    assert.equal(readFileSync(restarted, 'utf8'), 'restart postern@updated.service\n');
    // One that does not run is left so.
    assert.equal(
      spawnSync('/bin/sh', ['-c', script.replace('update;', 'fail;')], { env: { MAIN_PID: '0' } }).status,
      99,
    );
    rmSync(restarted);
    assert.equal(updateWith(0, 0), 0);
    assert.ok(!existsSync(restarted));
  });

  it('quote words for the unit, the shells and the XML they stand in', () => {
    const execStart = /^ExecStart=(.*)$/m.exec(definitionText(systemd, withConfig));
    const unit = execStart?.[1] ?? assert.fail();
    assert.match(unit, /^\/usr\/bin\/env postern tunnel --config \/etc\/postern\/web\.1\.config\.yml /);
    assert.ok(unit.includes(`"--label=it's \\"100%%\\" \\\\ $$HOME & <b>"`), unit);
    const words = ['postern', 'tunnel', '--config', 'CONFIG', `--label=${odd}`, '--protocol=http2', 'run'];
    const wanted = (platform: ServicePlatform): string[] => {
      const { config } = platform.paths(withConfig.name, system);
      return [
        ...words.map(word => (word === 'CONFIG' ? config : word)),
        '--credentials-file',
        '/etc/postern/tunnel.json',
      ];
    };
    // As supervise-daemon gets them.
    const openrcWords = `eval "$(cat)"; eval "set -- $command_args"; for word; do printf '%s\\0' "$word"; done`;
    const seen = execFileSync('sh', ['-c', openrcWords], {
      input: definitionText(openrc, withConfig),
      encoding: 'utf8',
    });
    assert.deepEqual(seen.split('\0').slice(0, -1), wanted(openrc));
    const plist = python(
      'import json,plistlib,sys;json.dump(plistlib.loads(sys.stdin.buffer.read()),sys.stdout)',
      definitionText(launchd, withConfig),
    ) as {
      Label: string;
      ProgramArguments: string[];
      KeepAlive: unknown;
    };
    assert.equal(plist.Label, 'postern.web.1');
    assert.deepEqual(plist.ProgramArguments, ['/usr/bin/env', ...wanted(launchd)]);
    assert.deepEqual(plist.KeepAlive, { SuccessfulExit: false });
    const xml = [
      'import json,sys,xml.etree.ElementTree as e',
      'n="{http://schemas.microsoft.com/windows/2004/02/mit/task}"',
      'r=e.fromstring(sys.stdin.buffer.read())',
      'json.dump([r.findtext(f".//{n}{k}") for k in ("Command","Arguments","UserId")],sys.stdout)',
    ].join('\n');
    const task = python(xml, Buffer.from(definitionText(windows, withConfig), 'utf16le')) as [string, string, string];
    assert.equal(task[0], '/usr/bin/env');
    assert.ok(task[1].includes(`"--label=it's \\"100%\\" \\ $HOME & <b>" --protocol=http2 run`), task[1]);
    assert.ok(
      task[1].startsWith('postern tunnel --config C:\\ProgramData\\postern\\web.1.config.yml --logfile '),
      task[1],
    );
    assert.equal(task[2], 'S-1-5-18');
  });

  it('of launchd belong to the user who is not root', () => {
    const user = { ...system, isAdmin: false, uid: 501 };
    const { definition, token: file } = launchd.paths('web', user);
    assert.equal(definition, '/home/someone/Library/LaunchAgents/postern.web.plist');
    assert.equal(file, '/home/someone/Library/Application Support/postern/web.token');
    assert.deepEqual(launchd.define(token, user).commands[0]?.words.slice(0, 3), ['launchctl', 'bootstrap', 'gui/501']);
  });
});

describe('installing a service', () => {
  const offline = (root: string): ServiceSystem => ({ ...system, root });

  it('writes its files and links, and uninstalling leaves config and state only', async t => {
    for (const platform of [sysv, openrc, launchd]) {
      const root = await temporaryDirectory(t);
      const here = offline(root);
      for (const spec of specs) await installService(spec, platform, here);
      const { token: file, definition } = platform.paths(undefined, here);
      assert.equal(statSync(join(root, file)).mode & 0o777, 0o600);
      assert.equal(readFileSync(join(root, file), 'utf8'), `${secretText}\n`);
      assert.deepEqual(installedServices(platform, here), [undefined, 'edge', 'web.1']);
      for (const spec of specs) await uninstallService(spec.name, platform, here);
      assert.deepEqual(installedServices(platform, here), []);
      assert.ok(!existsSync(join(root, definition)));
      const left = readdirSync(root, { recursive: true, withFileTypes: true }).filter(entry => !entry.isDirectory());
      assert.deepEqual(
        left.map(entry => join('/', entry.parentPath.slice(root.length), entry.name)),
        [platform.paths('web.1', here).config],
      );
    }
  });

  it('refuses what is there already, what is not there, and those who are not root', async t => {
    const root = await temporaryDirectory(t);
    const here = offline(root);
    await installService(token, sysv, here);
    await assert.rejects(installService({ ...token, secret: undefined }, sysv, here), {
      code: 'service.failed',
      message:
        /^The service postern is installed already, at \/etc\/init\.d\/postern\. Remove it with: postern service uninstall; or/,
    });
    // What was there is as it was.
    assert.equal(readFileSync(join(root, '/etc/postern/token'), 'utf8'), `${secretText}\n`);
    await assert.rejects(uninstallService('web', sysv, here), {
      code: 'service.failed',
      message: 'The service postern-web is not installed. There is postern: choose with --name',
    });
    const stranger = { ...here, isAdmin: false };
    for (const work of [installService(edge, sysv, stranger), uninstallService(undefined, sysv, stranger)])
      await assert.rejects(work, { code: 'service.failed', message: /as root: sudo postern service/ });
    await assert.rejects(installService({ ...edge, user: 'someone' }, sysv, here), { code: 'usage.invalid' });
  });

  it('leaves nothing when a step fails', async t => {
    const root = await temporaryDirectory(t);
    // A file where a directory must be.
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/init.d'), '');
    await assert.rejects(installService(token, sysv, offline(root)), {
      code: 'service.failed',
      message: /^Cannot write .*init\.d/,
    });
    assert.ok(!existsSync(join(root, 'etc/postern/token')));
  });

  it('finds the manager that this system has', async t => {
    const root = await temporaryDirectory(t);
    assert.equal(choosePlatform('linux', root), sysv);
    mkdirSync(join(root, 'sbin'));
    symlinkSync('/bin/true', join(root, 'sbin/openrc-run'));
    assert.equal(choosePlatform('linux', root), openrc);
    mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
    assert.equal(choosePlatform('linux', root), systemd);
    assert.equal(choosePlatform('darwin', root), launchd);
    assert.equal(choosePlatform('win32', root), windows);
    assert.throws(() => choosePlatform('freebsd', root), { message: /not supported on this operating system/ });
  });
});
