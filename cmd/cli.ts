// From a command line to an exit code: find the command, parse its flags, run it, report its error. Source:
// docs/protocol/commands-and-api.md §1, §2.

import { logFlags } from '../internal/config/log-flags.ts';
import { resolveFlags } from '../internal/config/resolve-flags.ts';
import { PosternError } from '../internal/errors/error.ts';
import { groups } from './command-groups.ts';
import { loadSyntax } from './command-syntax.ts';
import type { CommandTree } from './completion/command-tree.ts';
import type { CommandContext } from './context.ts';
import { parseCommandLine } from './parse-command-line.ts';
import { reportError } from './report-error.ts';
import { childrenOf, type ResolvedCommand, resolveCommand, unknownCommandText } from './resolve-command.ts';
import { versionLine } from './version-line.ts';

/** Runs the program with the arguments after its name. Resolves to the exit code; never rejects. */
export async function runCli(argv: readonly string[], context: CommandContext): Promise<number> {
  const resolved = resolveHelp(resolveCommand(argv));
  try {
    return await runResolved(resolved, context);
  } catch (error) {
    return reportError(error, { path: resolved.path, json: wantsJson(argv, context.env) }, context);
  }
}

/** `help tunnel run` and `tunnel help run` are `tunnel run --help`. */
function resolveHelp(resolved: ResolvedCommand): ResolvedCommand {
  const [word, ...rest] = resolved.tokens;
  if (word !== 'help' && word !== 'h') return resolved;
  return resolveCommand([...resolved.path, ...rest, '--help']);
}

async function runResolved(resolved: ResolvedCommand, context: CommandContext): Promise<number> {
  const { path, entry, tokens } = resolved;
  if (path.length === 0 && tokens.some(token => /^(-v|-V|--?version)$/.test(token))) {
    context.stdout.write(`${versionLine()}\n`);
    return 0;
  }
  if (entry === undefined) return runGroup(resolved, context);

  const syntax = await loadSyntax(entry, path);
  const { command } = syntax;
  const { args, given, help } = parseCommandLine(tokens, syntax);
  if (help !== 'no') {
    const { commandHelp } = await import('./command-help.ts');
    context.stdout.write(await commandHelp(syntax, help));
    return 0;
  }
  const { values, sources } = resolveFlags(command.flags, { given, env: context.env });
  return (await command.run({ path, args, given, flags: values, sources, loadTree }, context)) ?? 0;
}

async function loadTree(): Promise<CommandTree> {
  const { loadCommandTree } = await import('./completion/load-tree.ts');
  return loadCommandTree();
}

/** A group by itself shows its help; a word that is none of its commands, or a flag before the command, is a usage error. */
async function runGroup({ path, tokens }: ResolvedCommand, context: CommandContext): Promise<number> {
  const first = tokens.find(token => !/^--?(h|help)$/.test(token));
  if (first?.startsWith('-') === true) {
    const name = ['postern', ...path].join(' ');
    const words = childrenOf(path).map(({ word }) => word);
    const flag = first.replace(/=.*$/s, '');
    throw new PosternError('usage.invalid', `${name} needs a command beside ${flag}: ${words.join(', ')}`);
  }
  if (first !== undefined) throw new PosternError('usage.invalid', unknownCommandText(path, first));
  const { groupHelp } = await import('./command-help.ts');
  context.stdout.write(await groupHelp(path, `${groups[path.join(' ')] ?? ''}.`, childrenOf(path)));
  return 0;
}

const outputVariables = logFlags.find(({ name }) => name === 'output')?.env ?? [];

/** Whether errors are wanted as JSON; looked up by itself because the error may be one of parsing. */
function wantsJson(argv: readonly string[], env: CommandContext['env']): boolean {
  const isGiven = argv.some(token => /^--?(output|o)(=|$)/.test(token));
  if (!isGiven) return outputVariables.map(name => env[name]).find(Boolean) === 'json';
  return argv.some((token, at) => {
    if (/^--?(output|o)=json$/.test(token)) return true;
    return /^--?(output|o)$/.test(token) && argv[at + 1] === 'json';
  });
}
