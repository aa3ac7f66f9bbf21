// What every command of the `tunnel` family needs first: the config file, and the settings that result from it.

import {
  type ConfigFile,
  configDirectories,
  configFileNames,
  findConfigFile,
  loadIngressFile,
} from '../../internal/config/file/config-file.ts';
import { resolveTunnelSettings, type TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import type { Invocation } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

export interface LoadedSettings {
  readonly settings: TunnelSettings;
  /** Undefined when none was named and none found. */
  readonly file: ConfigFile | undefined;
  /** For the log when there is no file: where it was looked for. */
  readonly searched: string;
}

/**
 * Finds and reads the config file (`--config`, else the searched directories) and resolves the settings. Throws
 * 'config.not-found' for a named file that is missing, ConfigError or 'usage.invalid' with every fault at once.
 */
export async function loadSettings(
  invocation: Pick<Invocation, 'given'>,
  context: CommandContext,
): Promise<LoadedSettings> {
  const directories = configDirectories(context.homeDir, context.platform);
  const path = await configPath(invocation, context);
  const file = path === undefined ? undefined : await loadIngressFile(path);
  const settings = resolveTunnelSettings({ flags: invocation.given, env: context.env, file: file?.settings });
  const searched = `No file [${configFileNames.join(' ')}] in [${directories.join(' ')}]`;
  return { settings, file, searched: `Cannot determine default configuration path. ${searched}` };
}

/** Path of the config file that counts, absolute; undefined when none was named and none found. */
export async function configPath(
  invocation: Pick<Invocation, 'given'>,
  context: CommandContext,
): Promise<string | undefined> {
  const named = invocation.given.config?.at(-1);
  // An empty name is an answer too: no file.
  if (named === '') return undefined;
  if (named !== undefined) return resolvePath(named, context);
  return findConfigFile(configDirectories(context.homeDir, context.platform));
}
