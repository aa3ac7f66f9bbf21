// Loads every command of the program into one tree.

import type { Flag } from '../../internal/config/flag.ts';
import type { CommandEntry } from '../command-entry.ts';
import { groups } from '../command-groups.ts';
import { inheritedFlags, loadSyntax } from '../command-syntax.ts';
import { commands } from '../commands.ts';
import { effectiveFlags, helpFlag } from '../parse-command-line.ts';
import { childrenOf } from '../resolve-command.ts';
import type { CommandTree, TreeNode } from './command-tree.ts';

export async function loadCommandTree(): Promise<CommandTree> {
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const paths = new Set(['', ...Object.keys(groups), ...shown.map(({ path }) => path)]);
  const nodes = await Promise.all(
    [...paths].sort().map(path =>
      nodeOf(
        path,
        shown.find(entry => entry.path === path),
      ),
    ),
  );
  const { tunnel, log } = inheritedFlags;
  return { nodes, shared: { tunnel: tunnel.filter(isShown), log: log.filter(isShown) } };
}

async function nodeOf(path: string, entry: CommandEntry | undefined): Promise<TreeNode> {
  const words = path === '' ? [] : path.split(' ');
  const common = { path, summary: groups[path] ?? '', children: childrenOf(words) };
  if (entry === undefined)
    return { ...common, description: undefined, own: [helpFlag], inherits: undefined, positionals: [], examples: [] };
  const syntax = await loadSyntax(entry, words);
  const { description, positionals = [], examples = [] } = syntax.command;
  return {
    ...common,
    summary: entry.summary,
    description,
    own: effectiveFlags(syntax).own.filter(isShown),
    inherits: entry.inherits,
    positionals,
    examples,
  };
}

function isShown({ hidden, inert }: Flag): boolean {
  return hidden !== true && inert === undefined;
}
