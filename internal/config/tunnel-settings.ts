// The settings of a connector as one frozen value. Source: docs/protocol/ingress-and-origin.md §1,
// docs/protocol/commands-and-api.md §3, §4.

import type { Flag, FlagSource, FlagValue, FlagValues } from './flag.ts';
import { formatFlagValue, settingKey } from './flag.ts';
import { type Environment, type GivenFlags, resolveFlags } from './resolve-flags.ts';
import { runFlags } from './run-flags.ts';
import { tunnelFlags } from './tunnel-flags.ts';

/** All flags that make up the settings of a connector. */
export const tunnelSettingFlags = [...tunnelFlags, ...runFlags] as const satisfies readonly Flag[];

/** Every setting under its camelCase name, durations in milliseconds with the suffix Ms; undefined where not set. */
export type TunnelSettings = FlagValues<typeof tunnelSettingFlags> & {
  /** Where each flag that is set came from, by flag name (`grace-period`). */
  readonly sources: Readonly<Record<string, FlagSource>>;
};

export interface TunnelSettingsInputs {
  /** Texts of the command line by flag name. */
  readonly flags: GivenFlags;
  readonly env: Environment;
  /** The config file's `settings`. */
  readonly file?: Readonly<Record<string, unknown>> | undefined;
}

/** Resolves and freezes. Throws 'usage.invalid' or 'config.invalid' with every fault at once. */
export function resolveTunnelSettings(inputs: TunnelSettingsInputs): TunnelSettings {
  const { values, sources } = resolveFlags(tunnelSettingFlags, {
    given: inputs.flags,
    env: inputs.env,
    file: inputs.file,
  });
  return Object.freeze({ ...values, sources: Object.freeze(sources) });
}

/** What is set and whose wish is not granted: `--retries`, `TUNNEL_RETRIES`, or `retries in the config file`. */
export function inertSettings(settings: TunnelSettings, env: Environment): readonly string[] {
  return (tunnelSettingFlags as readonly Flag[])
    .filter(flag => flag.inert === 'ignored')
    .flatMap(flag => {
      const source = settings.sources[flag.name];
      if (source === 'flag') return `--${flag.name}`;
      if (source === 'env') return flag.env?.find(name => env[name]) ?? flag.name;
      return source === undefined ? [] : `${flag.name} in the config file`;
    });
}

/** The flags that are set, as texts, secrets masked: for the log line `Settings` and the local configuration. */
export function describeSettings(settings: TunnelSettings): Readonly<Record<string, string>> {
  const values: Readonly<Record<string, unknown>> = settings;
  const texts: Record<string, string> = {};
  for (const flag of tunnelSettingFlags as readonly Flag[]) {
    if (settings.sources[flag.name] === undefined) continue;
    texts[flag.name] = flag.secret === true ? '*****' : formatFlagValue(flag, values[settingKey(flag)] as FlagValue);
  }
  return texts;
}

/** The same without the secret ones: for what leaves the machine. */
export function describeOpenSettings(settings: TunnelSettings): Readonly<Record<string, string>> {
  const secret = new Set((tunnelSettingFlags as readonly Flag[]).filter(flag => flag.secret).map(({ name }) => name));
  return Object.fromEntries(Object.entries(describeSettings(settings)).filter(([name]) => !secret.has(name)));
}
