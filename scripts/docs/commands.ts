// docs/commands.md: the help of every command. That it is up to date is tested, and with it how the help looks.

import { commandHelp } from '../../cmd/command-help.ts';
import { loadSyntax } from '../../cmd/command-syntax.ts';
import { commands } from '../../cmd/commands.ts';

const intro = `# Commands

The help of every command, as \`--help\` prints it; where it names \`--help-all\`, that lists further flags, which
[settings.md](settings.md) has, too.

\`ls\` stands for \`list\`, \`rm\` and \`remove\` for \`delete\`.
`;

/** The whole file. */
export async function commandsDocument(): Promise<string> {
  const parts = [intro];
  for (const entry of commands) {
    if (entry.hidden === true) continue;
    const help = await commandHelp(await loadSyntax(entry, entry.path.split(' ')), 'short');
    parts.push(`## postern ${entry.path}\n\n\`\`\`text\n${help}\`\`\`\n`);
  }
  return parts.join('\n');
}
