// Which settings are in force, and where each value came from. Source: docs/protocol/ingress-and-origin.md §1.

import { redactUserinfo } from '../../schema/parse-service.ts';
import { type Flag, type FlagValue, formatFlagValue, settingKey } from '../flag.ts';
import type { Environment } from '../resolve-flags.ts';
import { type TunnelSettings, tunnelSettingFlags } from '../tunnel-settings.ts';
import type { ConfigFile } from './config-file.ts';

export interface ExplainedSetting {
  /** Name of the flag, and of the key. */
  readonly name: string;
  /** As one would write it, without secrets; null = not set. */
  readonly value: string | null;
  readonly source: 'flag' | 'environment' | 'file' | 'default';
  /** `--loglevel`, `TUNNEL_LOGLEVEL`, `config.yml:3`; null for defaults. */
  readonly from: string | null;
}

/** All settings that have an effect, in the order of the documentation. */
export function explainSettings(
  settings: TunnelSettings,
  { env, file }: { readonly env: Environment; readonly file: ConfigFile | undefined },
): readonly ExplainedSetting[] {
  return (tunnelSettingFlags as readonly Flag[])
    .filter(({ inert }) => inert === undefined)
    .map(flag => ({ name: flag.name, value: shownValue(flag, settings), ...originOf(flag, settings, env, file) }));
}

function shownValue(flag: Flag, settings: TunnelSettings): string | null {
  const value = (settings as Readonly<Record<string, unknown>>)[settingKey(flag)] as FlagValue | undefined;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return null;
  return flag.secret === true ? '*****' : redactUserinfo(formatFlagValue(flag, value));
}

function originOf(
  flag: Flag,
  settings: TunnelSettings,
  env: Environment,
  file: ConfigFile | undefined,
): Pick<ExplainedSetting, 'from' | 'source'> {
  switch (settings.sources[flag.name]) {
    case 'flag':
      return { source: 'flag', from: `--${flag.name}` };
    case 'env':
      return { source: 'environment', from: flag.env?.find(name => (env[name] ?? '') !== '') ?? null };
    case 'file': {
      const key = [flag.name, ...(flag.aliases ?? [])].find(name => file?.places[name] !== undefined);
      const line = key === undefined ? undefined : file?.places[key]?.line;
      return { source: 'file', from: `${file?.path}:${line}` };
    }
    default:
      return { source: 'default', from: null };
  }
}
