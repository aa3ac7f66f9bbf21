// Which service manager this system has: the one place that knows all of them. Source: docs/protocol/commands-and-api.md §11;
// sd_booted(3).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PosternError } from '../errors/error.ts';
import { launchd } from './launchd.ts';
import { openrc } from './openrc.ts';
import type { ServicePlatform } from './service.ts';
import { systemd } from './systemd.ts';
import { sysv } from './sysv.ts';
import { windows } from './windows.ts';

/** Looks below `root`, '' for this machine. Throws 'service.failed' where there is none that is known. */
export function choosePlatform(platform: NodeJS.Platform, root: string): ServicePlatform {
  if (platform === 'darwin') return launchd;
  if (platform === 'win32') return windows;
  if (platform !== 'linux')
    throw new PosternError('service.failed', 'service installation is not supported on this operating system');
  const has = (path: string): boolean => existsSync(join(root, path));
  if (has('/run/systemd/system')) return systemd;
  return ['/sbin', '/usr/sbin', '/usr/bin'].some(directory => has(`${directory}/openrc-run`)) ? openrc : sysv;
}
