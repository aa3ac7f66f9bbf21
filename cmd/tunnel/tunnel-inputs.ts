// What one of the tunnels of a process is run with: its entry in the config file's list where it has one, else what is said for all.

import { type ConfigFile, fileOfTunnel } from '../../internal/config/file/config-file.ts';
import type { GivenFlags } from '../../internal/config/resolve-flags.ts';
import { resolveTunnelSettings, type TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import type { CommandContext } from '../context.ts';

export interface TunnelInputs {
  readonly settings: TunnelSettings;
  readonly file: ConfigFile | undefined;
  /** Its name in the file's list. */
  readonly entry?: string | undefined;
  /** As on the command line: its id or name, where it has one. */
  readonly args: readonly string[];
}

/**
 * @param name of an entry of the file, or an id or name of the command line
 * @param all what is said for all tunnels
 */
export function tunnelInputs(
  name: string,
  all: { readonly settings: TunnelSettings; readonly given: GivenFlags; readonly file: ConfigFile | undefined },
  context: CommandContext,
): TunnelInputs {
  const { file, given } = all;
  const own = file === undefined ? undefined : fileOfTunnel(file, name);
  if (own === undefined) return { settings: all.settings, file, args: [name] };
  const settings = resolveTunnelSettings({ flags: given, env: context.env, file: own.settings });
  return { settings, file: own, entry: name, args: own.tunnel === undefined ? [] : [own.tunnel] };
}
