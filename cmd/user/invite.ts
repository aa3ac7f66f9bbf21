// `user invite NAME`: another login code for a user, in place of an earlier one.

import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { openApi } from '../tunnel/api.ts';
import { codeTtlFlag, loginLines } from './login-lines.ts';

export const command = defineCommand({
  description: 'Prints another login code for a user. An earlier code that was not used is good no more.',
  positionals: [{ name: 'USER', description: 'ID or name of the user' }],
  flags: [codeTtlFlag, outputFlag],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const api = await openApi(invocation, context);
    const { id } = findNamed(await api.client.listUsers({ params: { account: api.account } }), name, 'user');
    const code = await api.client.inviteUser({
      params: { account: api.account, id },
      body: { login_code_ttl: Math.ceil(flags.codeTtlMs / 1000) },
    });
    if (format !== undefined) writeFormatted(context, format, code);
    else context.stdout.write(loginLines(code, api));
  },
});
