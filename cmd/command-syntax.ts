// What an entry of the registry means on a command line: the command with its flags and those of upper levels.

import type { Flag } from '../internal/config/flag.ts';
import { ignoredFlags } from '../internal/config/ignored-flags.ts';
import { logFlags } from '../internal/config/log-flags.ts';
import { tunnelFlags } from '../internal/config/tunnel-flags.ts';
import type { CommandEntry } from './command-entry.ts';
import type { CommandSyntax } from './parse-command-line.ts';
import { childrenOf } from './resolve-command.ts';

/** Flags of upper levels, by what an entry inherits. */
export const inheritedFlags: Readonly<Record<CommandEntry['inherits'], readonly Flag[]>> = {
  tunnel: [...tunnelFlags, ...ignoredFlags],
  log: logFlags,
};

/** Loads the command. `path` are its words. */
export async function loadSyntax(entry: CommandEntry, path: readonly string[]): Promise<LoadedSyntax> {
  const { command } = await entry.load();
  const { summary, inherits } = entry;
  return { path, summary, command, inherited: inheritedFlags[inherits], children: childrenOf(path) };
}

export type LoadedSyntax = CommandSyntax & Pick<Awaited<ReturnType<CommandEntry['load']>>, 'command'>;
