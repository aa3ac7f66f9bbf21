// Completion for bash 3.2 and newer, which macOS still has: no associative arrays, and nothing of the package bash-completion.
// Source: bash(1), "Programmable Completion".

import type { Flag } from '../../internal/config/flag.ts';
import type { CommandTree, TreeNode } from './command-tree.ts';
import { flagWords, valueKind } from './flag-words.ts';

export function bashCompletion({ nodes, shared }: CommandTree): string {
  const flags = [...nodes.flatMap(({ own }) => own), ...shared.tunnel, ...shared.log];
  return `# Completion of postern for bash. Made by: postern completion bash

# The words that may follow a command.
_postern_words() {
  case "$1" in
${nodes
  .filter(({ children }) => children.length > 0)
  .map(({ path, children }) => `    ${branch(path)} echo ${children.map(({ word }) => word).join(' ')} ;;`)
  .join('\n')}
  esac
}

# The flags of a command.
_postern_flags() {
  local tunnel='${wordsOf(shared.tunnel)}'
  local log='${wordsOf(shared.log)}'
  case "$1" in
${nodes.map(node => `    ${branch(node.path)} echo ${flagsOf(node)} ;;`).join('\n')}
  esac
}

# What a flag takes.
_postern_value() {
  case "$1" in
${(['file', 'directory', 'text'] as const).map(kind => `    ${patterns(flags, kind)}) echo ${kind} ;;`).join('\n')}
  esac
}

_postern() {
  local cur=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD - 1]} path='' skip='' word at kind reply
  # Readline takes \`--flag=value\` for three words.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $flag == '=' ]]; then
    flag=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ $word == '=' ]]; then
      skip=1
    elif [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -* ]]; then
      [[ -z $(_postern_value "$word") ]] || skip=1
    elif [[ " $(_postern_words "$path") " == *" $word "* ]]; then
      path=\${path:+$path }$word
    else
      break
    fi
  done
  COMPREPLY=()
  kind=''
  [[ $flag != -* ]] || kind=$(_postern_value "$flag")
  case $kind in
    file) reply=$(compgen -f -- "$cur") && compopt -o filenames 2>/dev/null ;;
    directory) reply=$(compgen -d -- "$cur") && compopt -o filenames 2>/dev/null ;;
    text) return ;;
    *)
      if [[ $cur == -* ]]; then
        reply=$(compgen -W "$(_postern_flags "$path")" -- "$cur")
      else
        reply=$(compgen -W "$(_postern_words "$path")" -- "$cur")
      fi
      ;;
  esac
  while IFS= read -r word; do
    [[ -z $word ]] || COMPREPLY+=("$word")
  done <<<"$reply"
}

complete -F _postern postern
`;
}

const branch = (path: string): string => `'${path}')`;

function flagsOf({ own, inherits }: TreeNode): string {
  return [...(inherits === undefined ? [] : [`"$${inherits}"`]), wordsOf(own)].join(' ');
}

function wordsOf(flags: readonly Flag[]): string {
  return flags.flatMap(flagWords).join(' ');
}

function patterns(flags: readonly Flag[], kind: ReturnType<typeof valueKind>): string {
  const words = flags.filter(flag => valueKind(flag) === kind).flatMap(flagWords);
  return [...new Set(words)].sort().join(' | ');
}
