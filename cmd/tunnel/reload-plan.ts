// What a reload changes: settings and rules before and after, and whether each takes effect at once or with the next start.

import type { Flag, FlagValue } from '../../internal/config/flag.ts';
import { formatFlagValue, settingKey } from '../../internal/config/flag.ts';
import { originFlags } from '../../internal/config/origin-flags.ts';
import { type TunnelSettings, tunnelSettingFlags } from '../../internal/config/tunnel-settings.ts';
import { encodeIngressJson } from '../../internal/schema/encode-ingress.ts';
import type { IngressConfig } from '../../internal/schema/ingress-rule.ts';
import { redactUserinfo } from '../../internal/schema/parse-service.ts';

export interface Change {
  /** Name of the flag, `ingress` or `warp-routing`. */
  readonly setting: string;
  /** As one would write it; null = unset. */
  readonly before: string | null;
  readonly after: string | null;
  /** `never`: the edge manages the rules of this tunnel. */
  readonly takesEffect: 'now' | 'restart' | 'never';
}

/** Settings that a running connector takes over. */
export const liveSettings: ReadonlySet<string> = new Set([
  ...originFlags.map(({ name }) => name),
  ...['loglevel', 'transport-loglevel', 'grace-period', 'max-active-flows', 'tag', 'allow-destination'],
]);

export interface ReloadState {
  readonly settings: TunnelSettings;
  /** The local configuration, whatever the edge pushed. */
  readonly config: IngressConfig;
}

/** `isManaged`: the edge has pushed the configuration in force. */
export function planReload(before: ReloadState, after: ReloadState, isManaged: boolean): readonly Change[] {
  return [...changedSettings(before.settings, after.settings), ...changedRules(before.config, after.config, isManaged)];
}

function changedSettings(before: TunnelSettings, after: TunnelSettings): readonly Change[] {
  return (tunnelSettingFlags as readonly Flag[])
    .filter(({ inert }) => inert === undefined)
    .map(flag => ({ flag, old: shown(flag, before), next: shown(flag, after) }))
    .filter(({ old, next }) => old.text !== next.text)
    .map(({ flag, old, next }) => ({
      setting: flag.name,
      before: old.masked,
      after: next.masked,
      takesEffect: liveSettings.has(flag.name) ? 'now' : 'restart',
    }));
}

interface ShownValue {
  readonly text: string | null;
  readonly masked: string | null;
}

function shown(flag: Flag, settings: TunnelSettings): ShownValue {
  const value = (settings as Readonly<Record<string, unknown>>)[settingKey(flag)] as FlagValue | undefined;
  if (value === undefined) return { text: null, masked: null };
  const text = formatFlagValue(flag, value);
  return { text, masked: flag.secret === true ? '*****' : redactUserinfo(text) };
}

function changedRules(before: IngressConfig, after: IngressConfig, isManaged: boolean): readonly Change[] {
  const [old, next] = [encodeIngressJson(before), encodeIngressJson(after)];
  return (['ingress', 'warp-routing'] as const)
    .map(setting => ({ setting, before: JSON.stringify(old[setting]), after: JSON.stringify(next[setting]) }))
    .filter(change => change.before !== change.after)
    .map(change => ({ ...change, takesEffect: isManaged ? 'never' : 'now' }));
}
