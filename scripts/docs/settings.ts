// The generated tables of docs/settings.md: settings of tunnels, flags of an edge, keys of originRequest.

import { command as edgeRun } from '../../cmd/edge/run.ts';
import { type Flag, settingKey } from '../../internal/config/flag.ts';
import { tunnelSettingFlags } from '../../internal/config/tunnel-settings.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import { documentTypes } from '../../internal/schema/ingress-document.ts';
import { originRequestDefaults } from '../../internal/schema/origin-request.ts';
import { table } from './markdown.ts';

/** Settings of `postern tunnel` and `postern tunnel run`. */
export function settingsTable(): string {
  const flags: readonly Flag[] = tunnelSettingFlags;
  const rows = flags
    .filter(flag => flag.inert !== true)
    .map(flag => [
      spellings(flag),
      variables(flag),
      flagDefault(flag),
      flag.fromFile === true ? 'yes' : 'no',
      flag.description,
    ]);
  return table(['flag', 'environment', 'default', 'config file', 'meaning'], rows);
}

/** Flags of `postern edge run`. */
export function edgeFlagsTable(): string {
  const flags: readonly Flag[] = edgeRun.flags;
  const rows = flags.map(flag => [spellings(flag), variables(flag), flagDefault(flag), flag.description]);
  return table(['flag', 'environment', 'default', 'meaning'], rows);
}

/** Keys of `originRequest`. */
export function originRequestTable(): string {
  const defaults: Readonly<Record<string, unknown>> = { ...originRequestDefaults };
  const rows = Object.entries(documentTypes.yaml.originRequest.shape).map(([name, type]) => {
    const isDuration = Object.hasOwn(defaults, `${name}Ms`);
    const value = defaults[settingKey({ name, type: isDuration ? 'duration' : 'string' })];
    return [`\`${name}\``, showDefault(value, isDuration), type.description ?? ''];
  });
  return table(['key', 'default', 'meaning'], rows);
}

function spellings(flag: Flag): string {
  return [flag.name, ...(flag.aliases ?? [])].map(name => `\`${name.length === 1 ? '-' : '--'}${name}\``).join(', ');
}

function variables(flag: Flag): string {
  return (flag.env ?? []).map(name => `\`${name}\``).join(', ');
}

function flagDefault(flag: Flag): string {
  return flag.default === undefined || flag.default === '' ? '' : `\`${String(flag.default)}\``;
}

function showDefault(value: unknown, isDuration: boolean): string {
  if (typeof value === 'number' && isDuration) return `\`${formatDuration(value)}\``;
  if (value === undefined || value === '' || Array.isArray(value)) return '';
  return `\`${String(value)}\``;
}
