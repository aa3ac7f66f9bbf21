// Tokens → positional arguments and texts of flags, in Go's flag syntax: single dash or two, `-x=false`, values that begin with
// a dash. Source: docs/protocol/commands-and-api.md §1.

import { type Flag, parseBoolean } from '../internal/config/flag.ts';
import { PosternError } from '../internal/errors/error.ts';
import { nearest } from '../internal/schema/nearest.ts';

export interface ReadTokens {
  /** Texts by the flag's own name, in the order in which they were given. */
  readonly given: Map<string, string[]>;
  readonly args: readonly string[];
}

/** Throws 'usage.invalid' for unknown flags and missing values. Arguments are not counted. */
export function readTokens(tokens: readonly string[], flags: readonly Flag[]): ReadTokens {
  const given = new Map<string, string[]>();
  const give = (name: string, text: string): void => {
    const before = given.get(name);
    if (before === undefined) given.set(name, [text]);
    else before.push(text);
  };
  const args: string[] = [];
  const byName = new Map(
    flags.flatMap(flag => [flag.name, ...(flag.aliases ?? [])].map(name => [name, flag] as const)),
  );
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (token === '--') {
      args.push(...tokens.slice(at + 1));
      break;
    }
    // Web pages and word processors turn two hyphens into one dash.
    if (/^[\u2010-\u2015\u2212]/.test(token)) {
      const meant = token.replace(/^[-\u2010-\u2015\u2212]+/, '--');
      throw new PosternError(
        'usage.invalid',
        `${JSON.stringify(token)} begins with a dash that is no hyphen: write ${meant}`,
      );
    }
    if (!token.startsWith('-') || token === '-') {
      args.push(token);
      continue;
    }
    const { name, value } = splitFlag(token, byName);
    const flag = byName.get(name);
    if (flag === undefined) throw new PosternError('usage.invalid', unknownFlagText(name, [...byName.keys()]));
    if (flag.type === 'boolean') give(flag.name, booleanText(flag.name, value));
    else if (value !== undefined) give(flag.name, value);
    else {
      at += 1;
      const next = tokens[at];
      if (next === undefined) throw new PosternError('usage.invalid', `--${flag.name} needs a value`);
      give(flag.name, next);
    }
  }
  return { given, args };
}

/** `--name`, `-name=value`, and `-c1` where `-c` takes a number. */
function splitFlag(
  token: string,
  known: ReadonlyMap<string, Flag>,
): { readonly name: string; readonly value: string | undefined } {
  const [, name = '', value] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(token) ?? [];
  const [, letter = '', digits] = /^-([a-zA-Z])(\d\S*)$/.exec(token) ?? [];
  const type = known.has(name) ? undefined : known.get(letter)?.type;
  const takesNumber = type === 'integer' || type === 'number' || type === 'duration';
  return takesNumber ? { name: letter, value: digits } : { name, value };
}

function booleanText(name: string, value: string | undefined): string {
  const parsed = value === undefined ? true : parseBoolean(value);
  if (parsed !== undefined) return String(parsed);
  throw new PosternError('usage.invalid', `--${name} must be true or false, not ${JSON.stringify(value)}`);
}

/** The value is not shown: it may be a secret given to a mistyped flag. */
function unknownFlagText(name: string, known: readonly string[]): string {
  const near = nearest(
    name,
    known.filter(candidate => candidate.length > 2),
  );
  const hint = near === undefined ? '' : `. Did you mean --${near}?`;
  return `There is no flag --${name}${hint}`;
}
