// From a command line to an exit code: find the command, parse its flags, run it, report its error. Source:
// docs/protocol/commands-and-api.md §1, §2.

import type { Flag } from '../internal/config/flag.ts';
import { ignoredFlags } from '../internal/config/ignored-flags.ts';
import { logFlags } from '../internal/config/log-flags.ts';
import { resolveFlags } from '../internal/config/resolve-flags.ts';
import { tunnelFlags } from '../internal/config/tunnel-flags.ts';
import { PosternError } from '../internal/errors/error.ts';
import { groups } from './commands.ts';
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
    return reportError(error, { path: resolved.path, json: wantsJson(argv) }, context);
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

  const { command } = await entry.load();
  const inherited: readonly Flag[] = entry.inherits === 'tunnel' ? [...tunnelFlags, ...ignoredFlags] : logFlags;
  const syntax = { path, summary: entry.summary, command, inherited, children: childrenOf(path) };
  const { args, given, help } = parseCommandLine(tokens, syntax);
  if (help) {
    const { commandHelp } = await import('./command-help.ts');
    context.stdout.write(await commandHelp(syntax));
    return 0;
  }
  const { values, sources } = resolveFlags(command.flags, { given, env: context.env });
  return (await command.run({ path, args, given, flags: values, sources }, context)) ?? 0;
}

/** A group by itself shows its help; a word that is none of its commands, or a flag before the command, is a usage error. */
async function runGroup({ path, tokens }: ResolvedCommand, context: CommandContext): Promise<number> {
  const first = tokens.find(token => !/^--?(h|help)$/.test(token));
  if (first?.startsWith('-') === true) {
    const name = ['postern', ...path].join(' ');
    throw new PosternError('usage.invalid', `${name} needs a command before ${first.replace(/=.*$/s, '')}`);
  }
  if (first !== undefined) throw new PosternError('usage.invalid', unknownCommandText(path, first));
  const { groupHelp } = await import('./command-help.ts');
  context.stdout.write(await groupHelp(path, `${groups[path.join(' ')] ?? ''}.`, childrenOf(path)));
  return 0;
}

/** Whether errors are wanted as JSON; looked up by itself because the error may be one of parsing. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.some((token, at) => {
    if (/^--?(output|o)=json$/.test(token)) return true;
    return /^--?(output|o)$/.test(token) && argv[at + 1] === 'json';
  });
}
