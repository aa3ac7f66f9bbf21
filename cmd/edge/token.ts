// `edge token`: prints the API token that the ways into private networks take as a password. Source: README, "A tour".

import { defineCommand } from '../command.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Prints the API token of your credential (cert.pem): the password for --socks and --http-proxy of "postern edge run", ' +
    'where the user name is the virtual network. It is a secret of the whole account: keep it out of command lines.',
  flags: [],
  examples: [['(umask 077; postern edge token > token)', 'Into a file that only you can read']],
  run: async (invocation, context) => {
    const { cert } = await openApi(invocation, context);
    context.stdout.write(`${cert.apiToken}\n`);
  },
});
