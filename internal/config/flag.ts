// What a flag is, as data: the command line, the environment, the config file and the documentation are derived from
// it. Source: docs/protocol/commands-and-api.md §1; docs/protocol/ingress-and-origin.md §2 for the strict types of the
// config file.

import { PosternError } from '../errors/error.ts';
import { formatDuration, parseDuration } from '../schema/duration.ts';

export type FlagType = 'string' | 'boolean' | 'integer' | 'number' | 'duration' | 'list';

/** One setting. Values are texts on the command line and in the environment, YAML values in the config file. */
export interface Flag {
  /** Long name in kebab-case, also the key in the config file. */
  readonly name: string;
  readonly type: FlagType;
  readonly description: string;
  readonly aliases?: readonly string[];
  /** Environment variables, first wins. Lists are comma separated there. */
  readonly env?: readonly string[];
  /** As it would be written; a flag without default is undefined when not set (false, empty for booleans and lists). */
  readonly default?: string | number;
  /** Not in the help; documented nevertheless. */
  readonly hidden?: boolean;
  /**
   * Accepted and checked, but no part of the program reads it: neither in the help nor documented, and warned of in use.
   */
  readonly inert?: 'ignored';
  /** May come from the config file. */
  readonly fromFile?: boolean;
  /** Its value is never shown. */
  readonly secret?: boolean;
  /** What the help calls its value. */
  readonly valueName?: string;
  /** Returns what is wrong with a value of the right type, or undefined. */
  readonly check?: (value: FlagValue) => string | undefined;
}

/** A parsed value; durations are milliseconds. */
export type FlagValue = string | number | boolean | readonly string[];

export type FlagSource = 'flag' | 'env' | 'file';

type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;

/** The property a flag's value has: camelCase, durations with their unit. */
export type SettingKey<F extends Flag> = F['type'] extends 'duration' ? `${Camel<F['name']>}Ms` : Camel<F['name']>;

/** The type a flag's value has. */
export type SettingValue<F extends Flag> = F['type'] extends 'boolean'
  ? boolean
  : F['type'] extends 'list'
    ? readonly string[]
    :
        | (F['type'] extends 'string' ? string : number)
        | (F extends { readonly default: string | number } ? never : undefined);

/** The values of a table of flags, one typed property each. */
export type FlagValues<Flags extends readonly Flag[]> = {
  readonly [F in Flags[number] as SettingKey<F>]: SettingValue<F>;
};

/** `grace-period` (duration) → `gracePeriodMs`. */
export function settingKey(flag: Pick<Flag, 'name' | 'type'>): string {
  const camel = flag.name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return flag.type === 'duration' ? `${camel}Ms` : camel;
}

/**
 * Parses texts of the command line or the environment; for all but lists the last one counts.
 * Throws 'usage.invalid' naming `label` (the flag or variable); the value is shown unless the flag is secret.
 */
export function parseFlagTexts(flag: Flag, texts: readonly string[], label: string): FlagValue {
  const text = texts.at(-1) ?? '';
  const shown = flag.secret === true ? 'what was given' : JSON.stringify(text);
  const value = flag.type === 'list' ? texts : parseText(flag.type, text);
  if (value === undefined)
    throw new PosternError('usage.invalid', `${label} must be ${typeTexts[flag.type]}, not ${shown}`);
  const fault = flag.check?.(value);
  if (fault !== undefined) throw new PosternError('usage.invalid', `${fault} (${label})`);
  return value;
}

/** What a text of each type looks like. */
const typeTexts: Readonly<Record<FlagType, string>> = {
  string: 'a text',
  boolean: 'true or false',
  integer: 'an integer',
  number: 'a number',
  duration: 'a duration with a unit, such as 30s or 1m30s',
  list: 'a text',
};

function parseText(type: FlagType, text: string): FlagValue | undefined {
  switch (type) {
    case 'string':
    case 'list':
      return text;
    case 'boolean':
      return parseBoolean(text);
    case 'integer':
      return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined;
    case 'number':
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
    case 'duration':
      return parseDurationText(text);
  }
}

/** Go's spellings of a boolean. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

function parseDurationText(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    // Its message says less than ours: there, the flag is named.
    return undefined;
  }
}

/** Go's names for the types of the strict texts. */
const wantedNames: Readonly<Record<FlagType, string>> = {
  string: 'string',
  boolean: 'boolean',
  integer: 'int',
  number: 'float',
  duration: 'duration',
  list: 'string slice',
};

/** A YAML value of the config file → the flag's value, or what is wrong with it (`expected int found string for retries`). */
export function parseFileValue(flag: Flag, raw: unknown): { value: FlagValue } | { fault: string } {
  const value = fileValue(flag.type, raw);
  if (value === undefined) return { fault: `expected ${wantedNames[flag.type]} found ${goType(raw)} for ${flag.name}` };
  const fault = flag.check?.(value);
  return fault === undefined ? { value } : { fault };
}

function fileValue(type: FlagType, raw: unknown): FlagValue | undefined {
  switch (type) {
    case 'string':
      return typeof raw === 'string' ? raw : undefined;
    case 'boolean':
      return typeof raw === 'boolean' ? raw : undefined;
    case 'integer':
      return Number.isSafeInteger(raw) ? (raw as number) : undefined;
    case 'number':
      return typeof raw === 'number' ? raw : undefined;
    case 'duration':
      return typeof raw === 'string' ? parseDurationText(raw) : undefined;
    case 'list':
      return Array.isArray(raw) && raw.every(item => typeof item === 'string') ? (raw as string[]) : undefined;
  }
}

function goType(raw: unknown): string {
  if (Array.isArray(raw)) return '[]interface {}';
  switch (typeof raw) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return Number.isInteger(raw) ? 'int' : 'float64';
    default:
      return raw === null || raw === undefined ? '<nil>' : 'map[string]interface {}';
  }
}

/** A value as one would write it: durations in Go's form, lists comma separated. */
export function formatFlagValue(flag: Flag, value: FlagValue): string {
  if (flag.type === 'duration' && typeof value === 'number') return formatDuration(value);
  return typeof value === 'object' ? value.join(',') : String(value);
}
