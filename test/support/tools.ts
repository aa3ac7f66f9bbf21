// Programs that tests use as their users would: installed by the test when they are missing, where it may do so.

import { execFile } from 'node:child_process';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { installLock } from './debian-package.ts';

const run = promisify(execFile);

/** Debian's names of the packages that hold the programs. */
const packages = {
  ...{
    curl: 'curl',
    dig: 'bind9-dnsutils',
    ip: 'iproute2',
    iperf3: 'iperf3',
    nginx: 'nginx-light',
    python3: 'python3',
  },
  ...{ pg_ctlcluster: 'postgresql', socat: 'socat', openssl: 'openssl' },
} as const;
export type Tool = keyof typeof packages;

/** Whether every tool is there now. When one is missing and cannot be installed the test is skipped, saying which. */
export async function haveTools(t: TestContext, ...tools: readonly Tool[]): Promise<boolean> {
  for (const tool of tools) {
    if (await isThere(tool)) continue;
    const name = packages[tool];
    try {
      const install = `apt-get install --yes --no-install-recommends ${name} || { apt-get update && apt-get install --yes --no-install-recommends ${name}; }`;
      await run('flock', [installLock, 'sh', '-c', install], {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        timeout: 180_000,
      });
    } catch {
      // Not root, not Debian, or no network: said below.
    }
    if (await isThere(tool)) continue;
    t.skip(`${tool} is not here and could not be installed (package ${name})`);
    return false;
  }
  return true;
}

async function isThere(tool: string): Promise<boolean> {
  try {
    await run('sh', ['-c', `command -v ${tool}`]);
    return true;
  } catch {
    // The shell says so with its exit code.
    return false;
  }
}
