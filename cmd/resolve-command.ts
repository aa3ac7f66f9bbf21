// Which command a command line names. Flags may stand before, between and after the command's words
// (`postern --no-autoupdate tunnel --loglevel debug run NAME`). Source: docs/protocol/commands-and-api.md §1.

import type { Flag } from '../internal/config/flag.ts';
import { ignoredFlags } from '../internal/config/ignored-flags.ts';
import { runFlags } from '../internal/config/run-flags.ts';
import { tunnelFlags } from '../internal/config/tunnel-flags.ts';
import { nearest } from '../internal/schema/nearest.ts';
import type { CommandEntry } from './command-entry.ts';
import { groups } from './command-groups.ts';
import { commands } from './commands.ts';

/** What was found: the longest path of command words, and the other tokens in order. */
export interface ResolvedCommand {
  readonly path: readonly string[];
  /** Undefined when the path is only a group. */
  readonly entry: CommandEntry | undefined;
  readonly tokens: readonly string[];
}

/** Flags whose width is known before the command is: those of `tunnel run` too, which people write before `run`. */
const upperFlags: readonly Flag[] = [...tunnelFlags, ...runFlags, ...ignoredFlags];

/** Words of other programs for the same thing, where a command has not that very name. */
const synonyms: Readonly<Record<string, readonly string[]>> = {
  ls: ['list', 'show'],
  rm: ['delete', 'uninstall'],
  remove: ['delete', 'uninstall'],
};

/** Commands that cloudflared had once, and what it says of them. */
const removed: Readonly<Record<string, string>> = {
  'proxy-dns': 'dns-proxy feature is no longer supported',
  'db-connect': 'db-connect is no longer supported',
};

/** Walks down the tree word by word; what follows the last command word is left as it is. */
export function resolveCommand(argv: readonly string[]): ResolvedCommand {
  const path: string[] = [];
  const tokens: string[] = [];
  let at = 0;
  while (at < argv.length) {
    const token = argv[at] ?? '';
    if (token === '--') break;
    if (token.startsWith('-') && token !== '-') {
      const width = flagWidth(token);
      tokens.push(...argv.slice(at, at + width));
      at += width;
      continue;
    }
    const word = [token, ...(synonyms[token] ?? [])].find(name => isCommandPath([...path, name].join(' ')));
    if (word === undefined) break;
    path.push(word);
    at += 1;
  }
  // Flags without any command are those of `tunnel`.
  const isBare = path.length === 0 && at === argv.length && tokens.length > 0 && !tokens.some(isGlobalToken);
  if (isBare && isCommandPath('tunnel')) path.push('tunnel');
  const name = path.join(' ');
  return { path, entry: commands.find(entry => entry.path === name), tokens: [...tokens, ...argv.slice(at)] };
}

/** Words that may follow a path, with their entries or group texts; sorted. */
export function childrenOf(path: readonly string[]): readonly { readonly word: string; readonly summary: string }[] {
  const found = new Map<string, string>();
  for (const entry of commands) {
    const words = entry.path === '' ? [] : entry.path.split(' ');
    if (words.length <= path.length || !path.every((word, at) => words[at] === word)) continue;
    const word = words[path.length] ?? '';
    const isLeaf = words.length === path.length + 1;
    if (isLeaf && entry.hidden === true) continue;
    const group = groups[[...path, word].join(' ')];
    found.set(word, group ?? (isLeaf ? entry.summary : (found.get(word) ?? '')));
  }
  return [...found].map(([word, summary]) => ({ word, summary })).sort((a, b) => (a.word < b.word ? -1 : 1));
}

/** The text for a word that should have been one of these commands. */
export function unknownCommandText(path: readonly string[], word: string): string {
  const gone = path.length === 0 || path.join(' ') === 'tunnel' ? removed[word] : undefined;
  if (gone !== undefined) return gone;
  const near = nearest(
    word,
    childrenOf(path).map(child => child.word),
  );
  // The name of a tunnel, mostly, where the command was left out.
  const other = path.join(' ') === 'tunnel' ? '. A tunnel is run by: postern tunnel run NAME' : '';
  const hint = near === undefined ? other : `. Did you mean ${near}?`;
  return `There is no command ${JSON.stringify([...path, word].join(' '))}${hint}`;
}

/** Flags that the program itself answers. */
function isGlobalToken(token: string): boolean {
  return /^(-v|-V|--?version|--?h|--?help)$/.test(token);
}

function isCommandPath(path: string): boolean {
  return commands.some(entry => entry.path === path || entry.path.startsWith(`${path} `));
}

/** How many tokens a flag above the command takes: two when its value follows. */
function flagWidth(token: string): 1 | 2 {
  if (token.includes('=')) return 1;
  const name = token.replace(/^--?/, '');
  const flag = upperFlags.find(candidate => candidate.name === name || candidate.aliases?.includes(name));
  return flag === undefined || flag.type === 'boolean' ? 1 : 2;
}
