// Prometheus's own tool, which parses what we expose and what we ask: out of its Debian package, which is unpacked and not
// installed, because it would start a server.

import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const home = join(tmpdir(), `postern-promtool-${process.getuid?.() ?? 0}`);
let unpacked: Promise<string> | undefined;

/** Path of the tool. Undefined when it is not here and cannot be had: the test is skipped then, saying so. */
export async function findPromtool(t: TestContext): Promise<string | undefined> {
  try {
    unpacked ??= unpack();
    return await unpacked;
  } catch {
    t.skip('promtool is not here and could not be had (Debian: package prometheus)');
    return undefined;
  }
}

async function unpack(): Promise<string> {
  const tool = join(home, 'usr/bin/promtool');
  if (existsSync(tool)) return tool;
  const fresh = await mkdtemp(`${home}-`);
  try {
    const fetchPackage = 'apt-get download prometheus || { apt-get update && apt-get download prometheus; }';
    await run('sh', ['-c', fetchPackage], { cwd: fresh, timeout: 180_000 });
    const [file = ''] = (await readdir(fresh)).filter(name => name.endsWith('.deb'));
    await mkdir(join(fresh, 'root'));
    await run('dpkg-deb', ['--extract', join(fresh, file), join(fresh, 'root')], { timeout: 60_000 });
    // Whoever is first wins.
    await rename(join(fresh, 'root'), home).catch(() => undefined);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  if (!existsSync(tool)) throw new Error('the package prometheus has no promtool');
  return tool;
}

/** Runs the tool with `input` as its standard input; gives its exit code and all that it said. */
export async function runPromtool(tool: string, args: readonly string[], input = '') {
  const child = spawn(tool, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000 });
  let text = '';
  const add = (piece: Buffer): void => {
    text += piece.toString();
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  child.stdin.on('error', () => undefined).end(input);
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { code, text };
}
