// One value for each flag: command line, else environment, else config file, else default. Source:
// docs/protocol/ingress-and-origin.md §1, docs/protocol/commands-and-api.md §1.

import { PosternError } from '../errors/error.ts';
import { ConfigError, type ConfigIssue } from '../schema/config-error.ts';
import {
  type Flag,
  type FlagSource,
  type FlagValue,
  type FlagValues,
  parseFileValue,
  parseFlagTexts,
  settingKey,
} from './flag.ts';

/** Texts given on the command line, by flag name. */
export type GivenFlags = Readonly<Record<string, readonly string[]>>;

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface FlagInputs {
  readonly given: GivenFlags;
  readonly env: Environment;
  /** Values of the config file's top level, by key. */
  readonly file?: Readonly<Record<string, unknown>> | undefined;
}

export interface ResolvedFlags<Flags extends readonly Flag[]> {
  readonly values: FlagValues<Flags>;
  /** Where each flag that is set came from, by flag name. */
  readonly sources: Readonly<Record<string, FlagSource>>;
}

/**
 * Resolves every flag of a table. All faults are reported at once: 'usage.invalid' for the command line and the
 * environment, 'config.invalid' when only the file is at fault.
 */
export function resolveFlags<const Flags extends readonly Flag[]>(
  flags: Flags,
  inputs: FlagInputs,
): ResolvedFlags<Flags> {
  const values: Record<string, FlagValue | undefined> = {};
  const sources: Record<string, FlagSource> = {};
  const usageFaults: string[] = [];
  const fileFaults: ConfigIssue[] = [];
  for (const flag of flags) {
    const key = settingKey(flag);
    values[key] = defaultValue(flag);
    try {
      const found = findValue(flag, inputs);
      if (found === undefined) continue;
      if ('fault' in found) {
        fileFaults.push({ path: [flag.name], location: undefined, text: found.fault, remedy: '' });
        continue;
      }
      values[key] = found.value;
      sources[flag.name] = found.source;
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      usageFaults.push(error.message);
    }
  }
  if (usageFaults.length > 0) throw new PosternError('usage.invalid', usageFaults.join('\n'));
  if (fileFaults.length > 0) throw new ConfigError(fileFaults);
  return { values: values as FlagValues<Flags>, sources };
}

function findValue(
  flag: Flag,
  inputs: FlagInputs,
): { value: FlagValue; source: FlagSource } | { fault: string } | undefined {
  // Empty means not given, whatever the source: compose files write `${NAME:-}`. `--config ""` alone says something: none.
  const texts = inputs.given[flag.name];
  const isGiven = texts?.some(text => text !== '') === true || flag.name === 'config';
  if (texts !== undefined && isGiven) return { value: parseFlagTexts(flag, texts, `--${flag.name}`), source: 'flag' };
  for (const name of flag.env ?? []) {
    const text = inputs.env[name];
    if (text === undefined || text === '') continue;
    const list = flag.type === 'list' ? text.split(',').map(item => item.trim()) : [text];
    return { value: parseFlagTexts(flag, list, name), source: 'env' };
  }
  if (flag.fromFile !== true || inputs.file === undefined) return undefined;
  for (const name of [flag.name, ...(flag.aliases ?? [])]) {
    const raw = inputs.file[name];
    if (raw === undefined || raw === null || raw === '') continue;
    const parsed = parseFileValue(flag, raw);
    return 'fault' in parsed ? parsed : { value: parsed.value, source: 'file' };
  }
  return undefined;
}

function defaultValue(flag: Flag): FlagValue | undefined {
  if (flag.type === 'boolean') return flag.default === 'true';
  if (flag.type === 'list') return [];
  return flag.default === undefined
    ? undefined
    : parseFlagTexts(flag, [String(flag.default)], `the default of --${flag.name}`);
}
