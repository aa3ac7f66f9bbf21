// The config file: reading it, and where it is looked for. Source: docs/protocol/ingress-and-origin.md §1, §2.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { foreignCode, isSystemError, PosternError } from '../../errors/error.ts';
import { readText, unreadableReason } from '../../net/file/read-text.ts';
import { formatIssue, type TextLocation } from '../../schema/config-error.ts';
import { createDocumentReader, type DocumentReader } from '../../schema/document-reader.ts';
import { goTypeName } from '../../schema/ingress-document.ts';
import type { IngressConfig, WarpRouting } from '../../schema/ingress-rule.ts';
import { IssueCollector } from '../../schema/issue-collector.ts';
import { nearest } from '../../schema/nearest.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import { completeConfig, parseIngress, readStructured, standardKeys } from '../../schema/parse-ingress.ts';
import { checkSettings } from './check-settings.ts';
import { readTunnelEntries, type TunnelEntry } from './tunnel-entries.ts';

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
  /** Several tunnels to run in one process; ours. */
  readonly tunnels: readonly TunnelEntry[] | undefined;
  readonly credentialsFile: string | undefined;
  /** Whether the file held nothing. */
  readonly empty: boolean;
  readonly unusedKeys: readonly UnusedKey[];
  /** Lines about values that are accepted but do not do what they seem to; unused keys not among them. */
  readonly oddities: readonly string[];
  /** All of it as lines for a log: unused keys and oddities. */
  readonly warnings: readonly string[];
}

/**
 * The file as it is for one tunnel of its list: what the entry says, and for the rest what the file says for all. Undefined when the
 * list has no tunnel of that name.
 */
export function fileOfTunnel(file: ConfigFile, name: string): ConfigFile | undefined {
  const entry = file.tunnels?.find(known => known.name === name);
  if (entry === undefined) return undefined;
  const { config, originRequest, tunnel, warpRouting } = entry;
  const settings = { ...file.settings, ...entry.settings };
  const places = { ...file.places, ...entry.places };
  const credentialsFile = credentialsFileOf(settings);
  return { ...file, config, originRequest, warpRouting, tunnel, settings, places, credentialsFile };
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

  const structuredValues = readStructured(reader, standardKeys);
  const parsed = parseIngress(structuredValues, issues);
  const tunnels = readTunnelEntries(reader, issues, structuredValues, parsed.originRequest);
  const settings: Record<string, unknown> = {};
  const structured: readonly string[] = Object.values(standardKeys);
  for (const key of reader.rootKeys) {
    if (key !== 'tunnel' && key !== 'tunnels' && !structured.includes(key)) settings[key] = reader.readPlain(key);
  }
  const tunnel = readTunnel(reader, issues);
  checkSettings(settings, issues);
  issues.throwIfAny();

  const unusedKeys = reader.unknownKeys.map(toUnusedKey);
  const oddities = issues.warningLines();
  return {
    path,
    config: parsed.rules === undefined ? undefined : completeConfig(parsed),
    originRequest: parsed.originRequest,
    warpRouting: parsed.warpRouting,
    settings,
    places: Object.fromEntries(reader.rootKeys.map(key => [key, reader.locate([key])])),
    tunnel,
    tunnels,
    credentialsFile: credentialsFileOf(settings),
    empty: reader.empty,
    unusedKeys,
    oddities,
    warnings: [...unusedKeys.map(unusedKeyLine), ...oddities],
  };
}

function credentialsFileOf(settings: Readonly<Record<string, unknown>>): string | undefined {
  const named = settings['credentials-file'] ?? settings['cred-file'];
  return typeof named === 'string' ? named : undefined;
}

function readTunnel(reader: DocumentReader, issues: IssueCollector): string | undefined {
  // As it is written: a name may look like a number.
  const value = reader.read('tunnel', z.string());
  if (value === undefined || typeof value === 'string') return value;
  issues.error(['tunnel'], 'tunnel must be the id or name of a tunnel', '');
  return undefined;
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
  const own = ['.postern', '.cloudflared'].map(name => join(homeDir, name));
  if (platform === 'win32') return own;
  // Of cloudflared's first releases, which it searches still.
  const old = ['.cloudflare-warp', 'cloudflare-warp'].map(name => join(homeDir, name));
  return [...own, ...old, '/etc/postern', '/etc/cloudflared', '/usr/local/etc/cloudflared'];
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
