// The `tunnels` list of the config file: several tunnels for one process, each an id or name, or a map with settings of its own.
// What an entry leaves open, the file says for all.

import * as z from 'zod';
import type { TextLocation } from '../../schema/config-error.ts';
import type { DocumentReader } from '../../schema/document-reader.ts';
import { documentTypes } from '../../schema/ingress-document.ts';
import type { IngressConfig, WarpRouting } from '../../schema/ingress-rule.ts';
import type { IssueCollector } from '../../schema/issue-collector.ts';
import { nearest } from '../../schema/nearest.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import { completeConfig, parseIngress, type StructuredValues, standardKeys } from '../../schema/parse-ingress.ts';
import type { Flag } from '../flag.ts';
import { originFlags } from '../origin-flags.ts';
import { tunnelSettingFlags } from '../tunnel-settings.ts';
import { checkSettings } from './check-settings.ts';

/** One tunnel of the list. */
export interface TunnelEntry {
  /** What log lines call it: the tunnel, or the file that its token is in. No two are the same. */
  readonly name: string;
  /** Id or name; undefined when its token alone says which it is. */
  readonly tunnel: string | undefined;
  /** Settings of its own: values of flags by name, checked like those of the file. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What it serves: its own rules, else those of the file; undefined when there are none. */
  readonly config: IngressConfig | undefined;
  readonly originRequest: OriginRequest;
  readonly warpRouting: WarpRouting;
  /** Where each of its own keys stands, under the name of its flag. */
  readonly places: Readonly<Record<string, TextLocation>>;
}

/** They are about the process, which the tunnels share. */
const processSettings: ReadonlySet<string> = new Set([
  ...['metrics', 'pidfile', 'logfile', 'log-directory', 'log-format', 'output', 'autoupdate-freq', 'no-autoupdate'],
  ...['loglevel', 'transport-loglevel', 'trace-output', 'stdin-control'],
  // They are about commands that make tunnels.
  ...['hostname', 'lb-pool', 'name', 'overwrite-dns', 'quick-service', 'max-fetch-size'],
]);

/** Flags whose settings an entry may have of its own. */
export const entryFlags: readonly Flag[] = (tunnelSettingFlags as readonly Flag[]).filter(
  ({ fromFile, inert, name }) => fromFile === true && inert === undefined && !processSettings.has(name),
);

/** Where an entry without `tunnel` gets its name from. */
const namingKeys = ['tunnel', 'token-file'] as const;
const structuredKeys: ReadonlySet<string> = new Set(['tunnel', ...Object.values(standardKeys)]);
const originNames: ReadonlySet<string> = new Set(originFlags.map(({ name }) => name));

const { ingress, originRequest, warpRouting } = documentTypes.yaml;
const flagNames: ReadonlyMap<string, string> = new Map(
  entryFlags.flatMap(({ name, aliases = [] }) => [name, ...aliases].map(known => [known, name] as const)),
);
const entryType = z.object({
  ...Object.fromEntries([...flagNames.keys()].map(name => [name, z.unknown().optional()])),
  tunnel: z.string().optional(),
  [standardKeys.ingress]: ingress.optional(),
  [standardKeys.originRequest]: originRequest.optional(),
  [standardKeys.warpRouting]: warpRouting.optional(),
});

const example = 'Write an id or name, or a map with "tunnel: NAME" and settings of its own.';

/** The entries; undefined when the file has none. `shared` is what the file says for all, `base` its `originRequest`, resolved. */
export function readTunnelEntries(
  reader: DocumentReader,
  issues: IssueCollector,
  shared: StructuredValues,
  base: OriginRequest,
): readonly TunnelEntry[] | undefined {
  const list = reader.read('tunnels', z.array(entryType));
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) {
    issues.error(['tunnels'], 'tunnels must be a list', example);
    return undefined;
  }
  for (const { path, key, location, known } of reader.unknownKeys) {
    if (path.length !== 2 || path[0] !== 'tunnels') continue;
    const near = nearest(key, known);
    const remedy = processSettings.has(key)
      ? `It is for the whole process: write ${key} at the top of the file.`
      : near === undefined
        ? 'Remove it.'
        : `Did you mean ${near}?`;
    issues.issues.push({ path: [...path, key], location, text: `an entry of tunnels has no key ${key}`, remedy });
  }
  const entries = list.map((value: unknown, at) => readEntry(value, at, reader, issues, shared, base));
  const found = entries.filter(entry => entry !== undefined);
  return withoutRepeats(found, entries, issues);
}

function readEntry(
  value: unknown,
  at: number,
  reader: DocumentReader,
  issues: IssueCollector,
  shared: StructuredValues,
  base: OriginRequest,
): TunnelEntry | undefined {
  const path = ['tunnels', at];
  const isName = (typeof value === 'string' && value !== '') || typeof value === 'number';
  const own = (isName ? { tunnel: String(value) } : value) as Readonly<Record<string, unknown>>;
  if (typeof own !== 'object' || own === null || Array.isArray(own)) {
    issues.error(path, `tunnels[${at}] is not a tunnel`, example);
    return undefined;
  }
  const names = namingKeys.map(key => own[key]).filter(name => typeof name === 'string' && name !== '');
  const [name] = names as string[];
  if (name === undefined) {
    issues.error(path, `tunnels[${at}] does not say which tunnel it is`, 'Add tunnel or token-file.');
    return undefined;
  }
  const written = Object.fromEntries(Object.entries(own).filter(([key]) => !structuredKeys.has(key)));
  checkSettings(written, issues, path);
  // Under the names of the flags, which beat whatever other name the file uses for all.
  const settings = Object.fromEntries(Object.entries(written).map(([key, text]) => [flagNames.get(key) ?? key, text]));
  const placed = (key: string) => ({ value: own[key], path: [...path, key] });
  const { ingress: rules, originRequest: origin, warpRouting: warp } = standardKeys;
  // An origin of its own is what it serves.
  const hasOrigin = Object.keys(settings).some(key => originNames.has(key)) && own[rules] === undefined;
  const values: StructuredValues = {
    ingress: own[rules] === undefined && !hasOrigin ? shared.ingress : placed(rules),
    originRequest: placed(origin),
    warpRouting: own[warp] === undefined ? shared.warpRouting : placed(warp),
  };
  const isOwn = [rules, origin, warp].some(key => own[key] !== undefined);
  const parsed = parseIngress(values, isOwn ? issues : issues.silent(), base);
  return {
    name,
    tunnel: typeof own.tunnel === 'string' ? own.tunnel : undefined,
    settings,
    config: parsed.rules === undefined ? undefined : completeConfig(parsed),
    originRequest: parsed.originRequest,
    warpRouting: parsed.warpRouting,
    places: Object.fromEntries(Object.keys(own).map(key => [flagNames.get(key) ?? key, reader.locate([...path, key])])),
  };
}

/** A name that is there twice means one tunnel, unless the entries differ. */
function withoutRepeats(
  found: readonly TunnelEntry[],
  all: readonly (TunnelEntry | undefined)[],
  issues: IssueCollector,
): readonly TunnelEntry[] {
  const byName = new Map<string, TunnelEntry>();
  for (const entry of found) {
    const first = byName.get(entry.name);
    if (first === undefined) byName.set(entry.name, entry);
    else if (JSON.stringify([first.settings, first.config]) !== JSON.stringify([entry.settings, entry.config])) {
      const text = `tunnels names ${JSON.stringify(entry.name)} twice, with different settings`;
      issues.error(['tunnels', all.indexOf(entry)], text, 'Of tunnels with one name write the ids.');
    }
  }
  return [...byName.values()];
}
