// The single binary: Node's program with the bundled program, the native parts and the licences inside, made by Node's own
// --build-sea. Source: Node's documentation, "Single executable applications".

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleSingle, workers } from './bundle.ts';
import { nativePartsOf } from './native-parts.ts';
import { type BuildIdentity, workerName } from './plugins.ts';
import { bringPackage } from './registry-package.ts';
import { hostTarget, type Target } from './targets.ts';
import { thirdPartyText } from './third-party.ts';

export interface Binary {
  readonly path: string;
  readonly bytes: number;
  /** What could not be done, in words. */
  readonly notes: readonly string[];
}

/** Makes the binary for `target` at `path`, with THIRD-PARTY.txt beside it as `<path>.THIRD-PARTY.txt`. */
export async function buildBinary(target: Target, path: string, identity: BuildIdentity = {}): Promise<Binary> {
  if (hostTarget === undefined)
    throw new Error(`A binary cannot be made on ${process.platform}-${process.arch}, for which npm has no Node`);
  const notes: string[] = [];
  const work = mkdtempSync(join(tmpdir(), 'postern-binary-'));
  try {
    const metafile = await bundleSingle(work, identity);
    const base = join(work, 'node');
    copyFileSync(nodeProgram(target), base);
    chmodSync(base, 0o755);
    notes.push(...strip(target, base));
    mkdirSync(dirname(path), { recursive: true });
    // A running program cannot be written to, but its name can be given to another.
    rmSync(path, { force: true });
    writeFileSync(join(work, 'sea.json'), JSON.stringify(seaConfig(target, work, base, path)));
    // The program that makes it must be of the version that is inside, whatever Node runs this.
    // Its compiled code is laid out at random, as the seed says.
    execFileSync(nodeProgram(hostTarget), ['--random-seed=1', '--build-sea', join(work, 'sea.json')], {
      cwd: work,
      stdio: 'pipe',
    });
    chmodSync(path, 0o755);
    // The package for Windows has no licence in it; it is the same for all.
    const nodeFolder = bringPackage(hostTarget.node);
    writeFileSync(`${path}.THIRD-PARTY.txt`, thirdPartyText({ metafile, nodeFolder }));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (target.name.startsWith('darwin-')) notes.push('not signed: macOS runs it after codesign --sign - FILE');
  return { path, bytes: statSync(path).size, notes };
}

function nodeProgram({ node }: Target): string {
  return join(bringPackage(node), node.executable);
}

function seaConfig(target: Target, work: string, base: string, output: string): object {
  const files = workers.map(file => `${workerName(file)}.js`);
  // Node for single binaries is built for glibc alone.
  const natives = nativePartsOf(target).filter(({ folder }) => !folder.endsWith('-musl'));
  return {
    // Relative, because the name is kept inside: two builds of the same sources are equal, byte for byte.
    main: 'main.cjs',
    executable: base,
    output,
    disableExperimentalSEAWarning: true,
    // Compiled code is good for the very program that made it.
    useCodeCache: target === hostTarget,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    // NODE_OPTIONS is not for this program: a variable must not bring code into it.
    execArgvExtension: 'none',
    assets: Object.fromEntries([
      ...files.map(file => [file, join(work, file)] as const),
      ...natives.map(({ fileName, path }) => [fileName, path] as const),
    ]),
  };
}

/** Drops the symbols of a Linux program, a fifth of it. It must be done before anything is put inside. */
function strip(target: Target, path: string): readonly string[] {
  if (!target.name.startsWith('linux-')) return [];
  const tool = target === hostTarget ? 'strip' : target.name === 'linux-arm64' ? 'aarch64-linux-gnu-strip' : undefined;
  const done = tool === undefined ? undefined : spawnSync(tool, ['--strip-all', path], { stdio: 'ignore' });
  return done?.status === 0 ? [] : [`not stripped: ${tool ?? 'a tool'} for it is not installed (binutils)`];
}
