// Completion for zsh, as a file of its function path or read by `source`. Source: zshcompsys(1), zshcompwid(1).

import type { Flag } from '../../internal/config/flag.ts';
import type { CommandTree, TreeNode } from './command-tree.ts';
import { flagWords, valueKind } from './flag-words.ts';

export function zshCompletion({ nodes, shared }: CommandTree): string {
  const flags = [...nodes.flatMap(({ own }) => own), ...shared.tunnel, ...shared.log];
  return `#compdef postern
# Completion of postern for zsh. Made by: postern completion zsh

# The words that may follow a command, into found.
_postern_words() {
  case $1 in
${nodes
  .filter(({ children }) => children.length > 0)
  .map(({ path, children }) => `    '${path}') found=(${children.map(item).join(' ')}) ;;`)
  .join('\n')}
    *) found=() ;;
  esac
}

# The flags of a command, into found.
_postern_flags() {
  local -a tunnel=(${flagItems(shared.tunnel)})
  local -a log=(${flagItems(shared.log)})
  case $1 in
${nodes.map(node => `    '${node.path}') found=(${flagsOf(node)}) ;;`).join('\n')}
    *) found=() ;;
  esac
}

# What a flag takes, into kind.
_postern_value() {
  case $1 in
${(['file', 'directory', 'text'] as const).map(kind => `    ${patterns(flags, kind)}) kind=${kind} ;;`).join('\n')}
    *) kind='' ;;
  esac
}

_postern() {
  local at word skip='' kind='' command=''
  local -a found
  for ((at = 2; at < CURRENT; at++)); do
    word=$words[at]
    if [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -*=* ]]; then
      :
    elif [[ $word == -* ]]; then
      _postern_value $word
      [[ -z $kind ]] || skip=1
    else
      _postern_words "$command"
      (( \${found[(I)$word:*]} )) || break
      command=\${command:+$command }$word
    fi
  done
  kind=''
  if [[ $words[CURRENT] == --*=* ]]; then
    _postern_value \${words[CURRENT]%%=*}
    compset -P '*='
  elif [[ -n $skip ]]; then
    _postern_value $words[CURRENT-1]
  fi
  case $kind in
    file) _files ;;
    directory) _files -/ ;;
    text) _message value ;;
    *)
      if [[ $words[CURRENT] == -* ]]; then
        _postern_flags "$command"
        _describe -o flag found
      else
        _postern_words "$command"
        if (( \${#found} )); then _describe command found; else _default; fi
      fi
      ;;
  esac
}

if [[ $funcstack[1] == _postern ]]; then
  _postern "$@"
else
  compdef _postern postern
fi
`;
}

function flagsOf({ own, inherits }: TreeNode): string {
  return [...(inherits === undefined ? [] : [`$${inherits}`]), flagItems(own)].join(' ');
}

function flagItems(flags: readonly Flag[]): string {
  return flags.flatMap(flag => flagWords(flag).map(word => item({ word, summary: flag.description }))).join(' ');
}

/** `'word:summary'`; a colon of the summary is no separator. */
function item({ word, summary }: { readonly word: string; readonly summary: string }): string {
  return `'${`${word}:${summary.replaceAll(':', '\\:')}`.replaceAll("'", "'\\''")}'`;
}

function patterns(flags: readonly Flag[], kind: ReturnType<typeof valueKind>): string {
  const words = flags.filter(flag => valueKind(flag) === kind).flatMap(flagWords);
  return [...new Set(words)].sort().join('|');
}
