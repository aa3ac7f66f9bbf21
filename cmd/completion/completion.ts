// `completion SHELL`: a script that completes command lines of this program. Packages install what it prints.

import { PosternError } from '../../internal/errors/error.ts';
import { defineCommand } from '../command.ts';
import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { zshCompletion } from './zsh.ts';

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

export const command = defineCommand({
  description:
    'Prints a script that completes commands and flags. Packages of distributions bring it with them; elsewhere it is read ' +
    'when the shell starts.',
  positionals: [{ name: 'SHELL', description: 'bash, zsh or fish' }],
  flags: [],
  examples: [
    ['source <(postern completion bash)', 'In ~/.bashrc; zsh takes the same in ~/.zshrc, after compinit'],
    ['postern completion fish > ~/.config/fish/completions/postern.fish', 'Once, for fish'],
  ],
  run: async ({ args, loadTree }, context) => {
    const [shell = ''] = args;
    if (!isShell(shell))
      throw new PosternError('usage.invalid', `SHELL must be bash, zsh or fish, not ${JSON.stringify(shell)}`);
    context.stdout.write(shells[shell](await loadTree()));
  },
});

function isShell(text: string): text is keyof typeof shells {
  return Object.hasOwn(shells, text);
}
