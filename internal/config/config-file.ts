// The config file: reading it, and where it is looked for. Source: docs/protocol/ingress-and-origin.md §1, §2.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { foreignCode, isSystemError, PosternError } from '../errors/error.ts';
import { readText, unreadableReason } from '../net/file/read-text.ts';
import { formatIssue, type TextLocation } from '../schema/config-error.ts';
import { createDocumentReader, type DocumentReader } from '../schema/document-reader.ts';
import { goTypeName } from '../schema/ingress-document.ts';
import type { IngressConfig, WarpRouting } from '../schema/ingress-rule.ts';
import { IssueCollector } from '../schema/issue-collector.ts';
import { nearest } from '../schema/nearest.ts';
import type { OriginRequest } from '../schema/origin-request.ts';
import { completeConfig, parseIngress, standardKeys } from '../schema/parse-ingress.ts';
import { type Flag, parseFileValue } from './flag.ts';
import { tunnelSettingFlags } from './tunnel-settings.ts';

/** A key that means nothing where it stands. */
export interface UnusedKey {
  readonly location: TextLocation;
  /** The line that `ingress validate` prints: `line 3: field foo not found in type config.…`. */
  readonly text: string;
  /** A known key that it resembles. */
  readonly suggestion: string | undefined;
}

/** A config file, valid as a whole. */
export interface ConfigFile {
  readonly path: string;
  /** What it says to serve; undefined when it has no `ingress` list, or an empty one. */
  readonly config: IngressConfig | undefined;
  /** Top-level `originRequest` with defaults. */
  readonly originRequest: OriginRequest;
  readonly warpRouting: WarpRouting;
  /** Other top-level keys: values of flags by name, as YAML gives them. Types of known flags have been checked. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where each top-level key stands. */
  readonly places: Readonly<Record<string, TextLocation>>;
  /** Tunnel id or name. */
  readonly tunnel: string | undefined;
  /** Ids or names of several tunnels to run in one process; ours. */
  readonly tunnels: readonly string[] | undefined;
  readonly credentialsFile: string | undefined;
  /** Whether the file held nothing. */
  readonly empty: boolean;
  readonly unusedKeys: readonly UnusedKey[];
  /** Lines about values that are accepted but do not do what they seem to; unused keys not among them. */
  readonly oddities: readonly string[];
  /** All of it as lines for a log: unused keys and oddities. */
  readonly warnings: readonly string[];
}

/** Larger files are refused; cloudflared has no limit, ten thousand rules are about 1 MB. */
export const maxFileBytes = 16 * 1024 * 1024;

/** Reads and checks a config file. Throws 'config.not-found', or ConfigError with every problem of the file. */
export async function loadIngressFile(path: string): Promise<ConfigFile> {
  return parseConfigFile(await readConfigText(path), path);
}

const readFaults: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist. Check --config',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory. Name the file in it',
};

/** The text of a config file. Throws 'config.not-found' when it cannot be read. */
export async function readConfigText(path: string): Promise<string> {
  try {
    return await readText(path, maxFileBytes);
  } catch (error) {
    const reason = unreadableReason(error);
    if (!isSystemError(error))
      throw new PosternError('config.invalid', `Config file ${path} cannot be used: ${reason}`);
    const hint = readFaults[reason] ?? `reading it fails with ${reason}`;
    throw new PosternError('config.not-found', `Config file ${path} cannot be used: ${hint}`, { cause: error });
  }
}

/** Checks the text of a config file. Throws ConfigError with every problem. `path` names the file in messages. */
export function parseConfigFile(text: string, path: string): ConfigFile {
  const reader = createDocumentReader(text, path);
  const issues = new IssueCollector(reader);
  issues.throwIfAny();
  if (!reader.empty && !reader.rootIsMap) issues.error([], 'the config file is not a map', 'Write "key: value" lines.');

  const parsed = parseIngress(reader, issues, standardKeys);
  const settings: Record<string, unknown> = {};
  const structured: readonly string[] = Object.values(standardKeys);
  for (const key of reader.rootKeys) {
    if (!structured.includes(key)) settings[key] = reader.readPlain(key);
  }
  const tunnel = readTunnel(settings.tunnel, issues);
  delete settings.tunnel;
  const tunnels = readTunnels(settings.tunnels, issues);
  delete settings.tunnels;
  checkSettings(settings, issues);
  issues.throwIfAny();

  const unusedKeys = reader.unknownKeys.map(toUnusedKey);
  const oddities = issues.warningLines();
  const credentialsFile = settings['credentials-file'] ?? settings['cred-file'];
  return {
    path,
    config: parsed.rules === undefined ? undefined : completeConfig(parsed),
    originRequest: parsed.originRequest,
    warpRouting: parsed.warpRouting,
    settings,
    places: Object.fromEntries(reader.rootKeys.map(key => [key, reader.locate([key])])),
    tunnel,
    tunnels,
    credentialsFile: typeof credentialsFile === 'string' ? credentialsFile : undefined,
    empty: reader.empty,
    unusedKeys,
    oddities,
    warnings: [...unusedKeys.map(unusedKeyLine), ...oddities],
  };
}

function readTunnels(value: unknown, issues: IssueCollector): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.every(name => typeof name === 'string' && name !== '')) return value as string[];
  issues.error(['tunnels'], 'tunnels must be a list of ids or names of tunnels', '');
  return undefined;
}

function readTunnel(value: unknown, issues: IssueCollector): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  issues.error(['tunnel'], 'tunnel must be the id or name of a tunnel', '');
  return undefined;
}

function checkSettings(settings: Readonly<Record<string, unknown>>, issues: IssueCollector): void {
  for (const flag of tunnelSettingFlags as readonly Flag[]) {
    if (flag.fromFile !== true) continue;
    for (const name of [flag.name, ...(flag.aliases ?? [])]) {
      const raw = settings[name];
      if (raw === undefined || raw === null) continue;
      const checked = parseFileValue(flag, raw);
      if (!('fault' in checked)) continue;
      // Faults of the value, unlike those of its type, say what would be right.
      issues.error([name], checked.fault, checked.fault.startsWith('expected ') ? fileRemedy(flag, raw) : '');
    }
  }
}

function fileRemedy(flag: Flag, raw: unknown): string {
  switch (flag.type) {
    case 'duration':
      return `Write a text with a unit, such as "${typeof raw === 'number' ? raw : 30}s".`;
    case 'string':
      return typeof raw === 'number' || typeof raw === 'boolean' ? `Write it in quotes: "${raw}".` : 'Write a text.';
    case 'integer':
    case 'number':
      return 'Write a number without quotes.';
    case 'boolean':
      return 'Write true or false, without quotes.';
    case 'list':
      return 'Write a list, one "- value" a line.';
  }
}

function toUnusedKey({ path, key, location, known }: DocumentReader['unknownKeys'][number]): UnusedKey {
  const text = `line ${location.line}: field ${key} not found in type ${goTypeName(path)}`;
  return { location, text, suggestion: nearest(key, known) };
}

function unusedKeyLine(key: UnusedKey): string {
  const remedy = key.suggestion === undefined ? 'It is ignored.' : `It is ignored; ${key.suggestion} exists.`;
  return formatIssue({ path: [], location: key.location, text: key.text.replace(/^line \d+: /, ''), remedy });
}

/** Where a config file is looked for, in order; `homeDir` is the user's. Certificates and credentials live there, too. */
export function configDirectories(homeDir: string, platform: NodeJS.Platform): readonly string[] {
  const own = [join(homeDir, '.postern'), join(homeDir, '.cloudflared')];
  if (platform === 'win32') return own;
  return [...own, '/etc/postern', '/etc/cloudflared', '/usr/local/etc/cloudflared'];
}

export const configFileNames = ['config.yml', 'config.yaml'] as const;

/** The first config file that exists in these directories; undefined when there is none. */
export async function findConfigFile(directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    for (const name of configFileNames) {
      const path = join(directory, name);
      try {
        if ((await stat(path)).isFile()) return path;
      } catch (error) {
        // Absent, or in a directory that this user may not enter: look further, as cloudflared does.
        if (foreignCode(error) === undefined) throw error;
      }
    }
  }
  return undefined;
}
