// What `npm run build` makes, used as its users do: the files, the npm package, and the single binary where no Node is.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { manifest } from '../../scripts/build/package-tree.ts';
import { posternCommand, startChild } from '../support/child-program.ts';
import { type Built, buildAll } from './built.ts';
import { throughQuickTunnel } from './quick-tunnel.ts';

const run = promisify(execFile);
const greeting = `postern version ${manifest.version}\n`;

let built: Built;
/** A new empty folder. */
async function emptyFolder(name: string): Promise<string> {
  const folder = join(built.directory, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

describe('npm run build', () => {
  before(async () => {
    built = await buildAll();
  });
  after(() => built[Symbol.asyncDispose]());

  describe('files', () => {
    it('carry a request over QUIC, by themselves', async () => {
      const home = await emptyFolder('files-home');
      const program = [process.execPath, join(built.tree, 'postern.cjs')];
      const { status, body, edge, connector } = await throughQuickTunnel({
        ...{ program, home, stateDirectory: join(home, 'edge'), protocol: 'quic' },
      });
      assert.deepEqual([status, body], [200, 'origin saw /hello']);
      assert.deepEqual([await edge.exited, await connector.exited], [0, 0]);
      assert.doesNotMatch(edge.log() + connector.log(), /Warning|WRN|ERR/);
    });

    it('make system calls', t => findsSystemCalls(t, [process.execPath, join(built.tree, 'postern.cjs')]));

    it('show the help that the sources show', async () => {
      const help = ['tunnel', 'run', '--help'];
      const [file = '', ...words] = posternCommand();
      const sources = await run(file, [...words, ...help]);
      const { stdout } = await run(process.execPath, [join(built.tree, 'postern.cjs'), ...help]);
      assert.match(stdout, /^postern tunnel run \[flags\] \[TUNNEL…\]\n/);
      assert.equal(stdout, sources.stdout);
    });

    it('name the licences of all that is inside', async () => {
      const text = await readFile(join(built.tree, 'THIRD-PARTY.txt'), 'utf8');
      for (const title of [/^zod \d\S* \(MIT\)$/m, /^koffi \d\S* \(MIT\)$/m, /^undici /m, /^quinn-proto v/m])
        assert.match(text, title);
      assert.match(text, /Permission is hereby granted, free of charge/);
      assert.doesNotMatch(text, /^(?:typescript|esbuild|@biomejs\/\S+) \d/m);
    });

    it('tell an old Node what is wanted, in a sentence', async () => {
      const old = join(await emptyFolder('old'), 'old.cjs');
      await writeFile(
        old,
        `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.5' } });`,
      );
      const launched = run(process.execPath, ['--require', old, join(built.tree, 'postern.cjs'), 'version']);
      await assert.rejects(launched, (error: { code?: number; stderr?: string; stdout?: string }) => {
        assert.deepEqual([error.code, error.stdout], [1, '']);
        assert.match(error.stderr ?? '', /^Postern needs Node 24 or newer; this is Node 20\.19\.5 \([^)]+\)\.\n$/);
        return true;
      });
    });
  });

  describe('npm package', () => {
    const npm = async (...args: readonly string[]): Promise<string> => {
      const home = await emptyFolder('npm-home');
      // Nothing is there to download from, and no cache of anyone's.
      const env = { HOME: home, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, npm_config_offline: 'true' };
      const { stdout } = await run('npm', args, { cwd: home, env });
      return stdout;
    };

    it('is installed without a registry, and has neither scripts nor dependencies', async () => {
      const prefix = await emptyFolder('global');
      await npm('install', '--global', '--prefix', prefix, built.archive);
      const { stdout } = await run(join(prefix, 'bin', 'postern'), ['--version']);
      assert.equal(stdout, greeting);
      const installed = join(prefix, 'lib/node_modules/postern');
      const {
        scripts,
        dependencies,
        optionalDependencies,
        private: isPrivate,
        ...own
      } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
      assert.deepEqual([scripts, dependencies, optionalDependencies, isPrivate], new Array(4).fill(undefined));
      assert.deepEqual([own.version, own.engines], [manifest.version, manifest.engines]);
      const there = await readdir(installed);
      for (const name of ['LICENSE', 'THIRD-PARTY.txt', 'README.md']) assert.ok(there.includes(name), name);
    });

    it('runs by npx', async () => {
      assert.equal(await npm('exec', '--yes', '--package', built.archive, '--', 'postern', '--version'), greeting);
    });
  });

  describe('single binary', () => {
    const binary = (t: TestContext): string | undefined => {
      if (built.binary === undefined) t.skip('no single binary is made for this platform');
      return built.binary?.path;
    };

    it('runs in an empty folder with an empty environment, whatever NODE_OPTIONS says', async t => {
      const path = binary(t);
      if (path === undefined) return;
      const cwd = await emptyFolder('nothing');
      assert.equal((await run(path, ['--version'], { cwd, env: {} })).stdout, greeting);
      const env = { NODE_OPTIONS: '--require=/nowhere/code.js' };
      assert.equal((await run(path, ['--version'], { cwd, env })).stdout, greeting);
      assert.deepEqual(await readdir(cwd), []);
    });

    it('makes system calls', async t => {
      const program = binary(t);
      if (program !== undefined) await findsSystemCalls(t, [program]);
    });

    it('carries a request over QUIC, leaving no file beside its state', async t => {
      const program = binary(t);
      if (program === undefined) return;
      const home = await emptyFolder('binary-home');
      const temporary = await emptyFolder('binary-tmp');
      const { status, body, edge, connector } = await throughQuickTunnel({
        ...{ program: [program], home, env: { PATH: '', TMPDIR: temporary } },
        ...{ stateDirectory: join(home, 'edge'), protocol: 'quic' },
      });
      assert.deepEqual([status, body], [200, 'origin saw /hello']);
      assert.deepEqual([await edge.exited, await connector.exited], [0, 0]);
      assert.doesNotMatch(edge.log() + connector.log(), /Warning|ERR/);
      assert.deepEqual(await readdir(temporary), []);
    });

    it('does so in a root that holds the C library and nothing else', async t => {
      const program = binary(t);
      if (program === undefined) return;
      if (process.platform !== 'linux' || process.getuid?.() !== 0)
        return t.skip('a root of its own needs Linux and root');
      const root = await bareRoot(program);
      const { status, body, edge, connector } = await throughQuickTunnel({
        program: ['chroot', root, '/postern'],
        ...{ home: root, env: { HOME: '/home' }, stateDirectory: '/home/edge', protocol: 'quic' },
      });
      assert.deepEqual([status, body], [200, 'origin saw /hello']);
      assert.deepEqual([await edge.exited, await connector.exited], [0, 0]);
      assert.deepEqual(await readdir(join(root, 'tmp')), []);
    });

    it('holds the licence of Node too', async t => {
      const path = binary(t);
      if (path === undefined) return;
      const text = await readFile(`${path}.THIRD-PARTY.txt`, 'utf8');
      assert.match(text, /^node-\S+ \d\S* \(/m);
      assert.match(text, /Copyright Node\.js contributors/);
    });
  });
});

/** The connector says at its start what sockets for ping it may open: that takes koffi's native part. */
async function findsSystemCalls(t: TestContext, program: readonly string[]): Promise<void> {
  if (process.platform !== 'linux') return t.skip('the sentence about permissions is that of Linux');
  const home = await emptyFolder(`calls-${program.length}`);
  const secret = Buffer.alloc(32, 1).toString('base64');
  const token = { a: 'account', t: '5a3d3b43-129e-41ff-9c19-2c322efd031c', s: secret };
  await using connector = startChild(
    [...program, 'tunnel', '--edge', '127.0.0.1:9', '--metrics', '127.0.0.1:0', 'run'],
    {
      home,
      env: { TUNNEL_TOKEN: Buffer.from(JSON.stringify(token)).toString('base64') },
    },
  );
  await connector.logged(/ICMP proxy (?:will use|feature is disabled: group)/);
}

/** A root folder with the program, the libraries it names, and an empty home and /tmp; without /proc and /dev. */
async function bareRoot(program: string): Promise<string> {
  const root = await emptyFolder('root');
  const { stdout } = await run('ldd', [program]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const path of libraries) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await copyFile(path, join(root, path));
  }
  for (const name of ['tmp', 'home']) await mkdir(join(root, name));
  await copyFile(program, join(root, 'postern'));
  return root;
}
