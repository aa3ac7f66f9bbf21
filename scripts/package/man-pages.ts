// Man pages, one a command, written from the tree of commands. Source: man(7).

import type { CommandTree, TreeNode } from '../../cmd/completion/command-tree.ts';
import { flagWords } from '../../cmd/completion/flag-words.ts';
import type { Flag } from '../../internal/config/flag.ts';

/** Texts of the pages by file name, such as `postern-tunnel-run.1`. `date` is shown at the bottom, as 2026-01-31. */
export function manPages(
  { nodes, shared }: CommandTree,
  options: { readonly version: string; readonly date: string },
): Readonly<Record<string, string>> {
  const pages = nodes.map(node => [`${pageName(node.path)}.1`, manPage(node, nodes, shared, options)] as const);
  return Object.fromEntries(pages);
}

const pageName = (path: string): string => ['postern', ...path.split(' ').filter(Boolean)].join('-');
const commandName = (path: string): string => ['postern', path].filter(Boolean).join(' ');

function manPage(
  node: TreeNode,
  nodes: CommandTree['nodes'],
  shared: CommandTree['shared'],
  { version, date }: { readonly version: string; readonly date: string },
): string {
  const inherited = node.inherits === undefined ? [] : shared[node.inherits];
  const taken = new Set(node.own.flatMap(flagWords));
  const others = inherited.filter(flag => !taken.has(`--${flag.name}`));
  // The long list is on the page of `tunnel`.
  const isLong = node.inherits === 'tunnel' && node.path !== 'tunnel';
  return [
    `.TH ${roff(pageName(node.path).toUpperCase())} 1 ${date} "postern ${version}" "Postern"`,
    '.SH NAME',
    `${roff(pageName(node.path))} \\- ${text(node.summary)}`,
    '.SH SYNOPSIS',
    ...synopsis(node),
    '.SH DESCRIPTION',
    text(node.description ?? `${node.summary}.`),
    ...node.positionals.flatMap(({ name, description }) => ['.TP', `.I ${roff(name)}`, text(description)]),
    ...section(
      'COMMANDS',
      node.children.map(({ word, summary }) => tagged(`.B ${roff(word)}`, summary)),
    ),
    ...section('OPTIONS', node.own.map(option)),
    ...(isLong
      ? ['.PP', 'Settings that every command of a tunnel takes are in', '.BR postern\\-tunnel (1).']
      : section('OTHER OPTIONS', others.map(option))),
    ...section(
      'EXAMPLES',
      node.examples.map(([line, what]) => tagged(`.B ${roff(line)}`, what)),
    ),
    ...(node.path === '' ? generalSections : []),
    ...seeAlso(node, nodes),
    '',
  ].join('\n');
}

function synopsis({ path, positionals, children, inherits }: TreeNode): string[] {
  const isCommand = inherits !== undefined;
  const args = positionals.map(({ name, optional, repeated }) => {
    const shown = `\\fI${roff(name)}\\fR${repeated === true ? '...' : ''}`;
    return optional === true ? `[${shown}]` : shown;
  });
  const lines: string[] = [];
  if (isCommand) lines.push([`\\fB${roff(commandName(path))}\\fR`, '[\\fIflags\\fR]', ...args].join(' '));
  if (children.length > 0) {
    if (isCommand) lines.push('.br');
    lines.push(`\\fB${roff(commandName(path))}\\fR \\fICOMMAND\\fR`);
  }
  return lines;
}

function option(flag: Flag): string[] {
  const value = flag.type === 'boolean' ? '' : ` \\fI${roff(flag.valueName ?? 'VALUE')}\\fR`;
  const names = flagWords(flag)
    .toReversed()
    .map(word => `\\fB${roff(word)}\\fR`);
  const isShown = flag.default !== undefined && flag.default !== '';
  const sentences = [
    flag.description,
    ...(isShown ? [`Default: ${flag.default}`] : []),
    ...(flag.env === undefined ? [] : [`Variable: ${flag.env.join(', ')}`]),
  ];
  return tagged(`${names.join(', ')}${value}`, `${sentences.join('. ')}.`);
}

function tagged(tag: string, description: string): string[] {
  return ['.TP', tag, text(description)];
}

function section(title: string, entries: readonly (readonly string[])[]): string[] {
  return entries.length === 0 ? [] : [`.SH ${title}`, ...entries.flat()];
}

const generalSections: readonly string[] = [
  '.SH FILES',
  ...tagged('.I /etc/postern/token', 'Token of the tunnel that postern.service serves; readable by root alone'),
  ...tagged('.I /etc/postern/config.yml', 'Config file of that connector, when there is one'),
  ...tagged(
    '\\fI/etc/postern/NAME.token\\fR, \\fI/etc/postern/NAME.config.yml\\fR',
    'The same of postern@NAME.service, which needs both; the config file may be empty',
  ),
  ...tagged(
    '.I /etc/postern/postern.env',
    'Settings of postern.service as variables; NAME.env for postern@NAME.service',
  ),
  ...tagged('.I /etc/postern/edge.env', 'POSTERN_EDGE_FLAGS, the flags of postern-edge.service'),
  ...tagged('.I /var/lib/postern', 'State of edges'),
];

function seeAlso({ path }: TreeNode, nodes: CommandTree['nodes']): string[] {
  const parent = path.split(' ').slice(0, -1).join(' ');
  const related = nodes
    .map(node => node.path)
    .filter(other => other !== path)
    .filter(other => other === parent || other.split(' ').slice(0, -1).join(' ') === path);
  const names = related.filter(other => other !== '' || path !== '').map(pageName);
  if (names.length === 0) return [];
  return ['.SH SEE ALSO', ...names.map((name, at) => `.BR ${roff(name)} (1)${at === names.length - 1 ? '' : ','}`)];
}

/** A line of running text. */
function text(line: string): string {
  const escaped = roff(line).replaceAll('\n\n', '\n.PP\n');
  return escaped.replaceAll(/^(['.])(?!PP$)/gm, '\\&$1');
}

function roff(line: string): string {
  return line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('’', '\\(cq')
    .replaceAll('→', '\\(->');
}
