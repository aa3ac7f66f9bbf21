// Programs out of Debian packages that are unpacked and not installed: their packages would start servers.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const unpacked = new Map<string, Promise<string>>();

/** Path of the program `tool` of a package, kept for later runs. Rejects when it cannot be had. */
export function unpackTool(packageName: string, tool: string): Promise<string> {
  const path = unpacked.get(packageName) ?? unpack(packageName);
  unpacked.set(packageName, path);
  return path.then(home => {
    const found = join(home, 'usr/bin', tool);
    if (!existsSync(found)) throw new Error(`the package ${packageName} has no ${tool}`);
    return found;
  });
}

async function unpack(packageName: string): Promise<string> {
  const home = join(tmpdir(), `postern-${packageName}-${process.getuid?.() ?? 0}`);
  if (existsSync(join(home, 'usr/bin'))) return home;
  const fresh = await mkdtemp(`${home}-`);
  try {
    const download = `apt-get download ${packageName}`;
    await run('sh', ['-c', `${download} || { apt-get update && ${download}; }`], { cwd: fresh, timeout: 180_000 });
    const [file = ''] = (await readdir(fresh)).filter(name => name.endsWith('.deb'));
    await mkdir(join(fresh, 'root'));
    await run('dpkg-deb', ['--extract', join(fresh, file), join(fresh, 'root')], { timeout: 60_000 });
    // Whoever is first wins.
    await rename(join(fresh, 'root'), home).catch(() => undefined);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return home;
}
