// What the commands of `service` share: the system they work on, the instance that is meant, and programs of the system whose
// output is theirs.

import { spawn } from 'node:child_process';
import type { Flag } from '../../internal/config/flag.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { choosePlatform } from '../../internal/service/choose.ts';
import { installedServices, isServiceName, requireInstalled } from '../../internal/service/install.ts';
import { type ServicePlatform, type ServiceSystem, unnamed } from '../../internal/service/service.ts';
import type { CommandContext } from '../context.ts';

export const nameFlag = {
  name: 'name',
  type: 'string',
  valueName: 'NAME',
  description: 'Name of the instance, when there are several on this machine',
} as const satisfies Flag;

export interface ServiceWorld {
  readonly platform: ServicePlatform;
  readonly system: ServiceSystem;
}

/** Throws 'service.failed' where no service manager is known. */
export function openServiceWorld(context: CommandContext): ServiceWorld {
  const root = '';
  const uid = process.getuid?.() ?? 0;
  const system = { root, uid, homeDir: context.homeDir, isAdmin: uid === 0 };
  return { system, platform: choosePlatform(context.platform, root) };
}

/** Throws 'usage.invalid' for what cannot be a name. */
export function checkName(name: string | undefined): string | undefined {
  if (name === undefined || (isServiceName(name) && name !== unnamed)) return name;
  throw new PosternError(
    'usage.invalid',
    `--name ${JSON.stringify(name)} is not a name: up to 63 letters, digits, "-", "_" and ".", and not "${unnamed}"`,
  );
}

/** The instance that is named, else the only one there is. Throws 'service.failed' when it is not there or several are. */
export function chooseInstance(name: string | undefined, { platform, system }: ServiceWorld): string | undefined {
  const installed = installedServices(platform, system);
  if (name === undefined && installed.length === 1) return installed[0];
  requireInstalled(checkName(name), platform, system);
  return name;
}

/** Runs a program with this one's output; resolves to its exit code. Ended with this one by the terminal. */
export function show(words: readonly string[]): Promise<number> {
  const [program = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit' });
    child.once('error', cause => reject(new PosternError('service.failed', `Cannot run ${program}`, { cause })));
    child.once('exit', code => resolve(code ?? 1));
  });
}
