// What a flag is on a command line: its words, and the kind of value that follows them.

import type { Flag } from '../../internal/config/flag.ts';

/** What takes a value, and of which kind. */
export function valueKind(flag: Flag): 'none' | 'file' | 'directory' | 'text' {
  if (flag.type === 'boolean') return 'none';
  if (flag.valueName === 'FILE') return 'file';
  return flag.valueName === 'DIR' ? 'directory' : 'text';
}

/** `--name` and its aliases: `-n`, `--other`. */
export function flagWords({ name, aliases = [] }: Flag): readonly string[] {
  return [name, ...aliases].map(word => (word.length === 1 ? `-${word}` : `--${word}`));
}
