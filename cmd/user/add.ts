// `user add NAME`: a user of the account, and the code with which he logs in for the first time.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { scopeFlag, scopesOf } from '../people-flags.ts';
import { openApi } from '../tunnel/api.ts';
import { codeTtlFlag, loginLines } from './login-lines.ts';

export const command = defineCommand({
  description:
    'Adds a user to the account and prints a login code, good once, which you hand to the user. The scopes are what tokens of ' +
    'the user may do at most; you cannot give more than you have.',
  positionals: [{ name: 'NAME', description: 'Name of the user, perhaps an e-mail address' }],
  flags: [scopeFlag, codeTtlFlag, outputFlag],
  examples: [['postern user add ann@example.com --scope tunnels:write --scope dns:write', 'May run tunnels, no more']],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const api = await openApi(invocation, context);
    const user = await api.client.addUser({
      params: { account: api.account },
      body: { name, scopes: scopesOf(flags.scope), login_code_ttl: Math.ceil(flags.codeTtlMs / 1000) },
    });
    if (format !== undefined) writeFormatted(context, format, user);
    else context.stdout.write(`Added user ${printableLine(user.name)} with ID ${user.id}\n${loginLines(user, api)}`);
  },
});
