// Completion for fish 3 and newer. Source: complete(1) of fish.

import type { Flag } from '../../internal/config/flag.ts';
import type { CommandTree } from './command-tree.ts';
import { flagWords, valueKind } from './flag-words.ts';

export function fishCompletion({ nodes, shared }: CommandTree): string {
  const valued = [...nodes.flatMap(({ own }) => own), ...shared.tunnel, ...shared.log].filter(
    flag => valueKind(flag) !== 'none',
  );
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => quote(path));
  const lines = nodes.flatMap(({ path, children, own }) => [
    ...children.map(({ word, summary }) => `${at(path)} -a ${word} -d ${quote(summary)}`),
    ...own.map(flag => `${at(path)} ${option(flag)}`),
  ]);
  const sharedLines = (['tunnel', 'log'] as const).flatMap(group => {
    const takers = nodes.filter(({ inherits }) => inherits === group).map(({ path }) => path);
    const condition = `contains -- (__postern_path) ${takers.map(path => `"${path}"`).join(' ')}`;
    return shared[group].map(flag => `complete -c postern -n ${quote(condition)} ${option(flag)}`);
  });
  return `# Completion of postern for fish. Made by: postern completion fish

# The words of the command that is being typed.
function __postern_path
    set -l paths ${paths.join(' ')}
    set -l valued ${[...new Set(valued.flatMap(flagWords))].sort().join(' ')}
    set -l path
    set -l skip
    for word in (commandline -opc)[2..-1]
        if test -n "$skip"
            set skip
        else if string match -q -- '-*' $word
            contains -- $word $valued; and set skip 1
        else if contains -- "$(string join ' ' $path $word)" $paths
            set -a path $word
        else
            break
        end
    end
    string join -- ' ' $path
    test (count $path) -gt 0; or echo ''
end

function __postern_at
    test "$(__postern_path)" = "$argv[1]"
end

complete -c postern -f
${[...lines, ...sharedLines].join('\n')}
`;
}

function at(path: string): string {
  return `complete -c postern -n ${quote(`__postern_at "${path}"`)}`;
}

function option(flag: Flag): string {
  const names = flagWords(flag).map(word => (word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`));
  return [...names, kinds[valueKind(flag)], `-d ${quote(flag.description)}`].filter(part => part !== '').join(' ');
}

const kinds = { none: '', file: '-r -F', directory: "-x -a '(__fish_complete_directories)'", text: '-x' } as const;

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
