// `token create NAME`: an API token, shown this once.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { expiresFlag, expiryOf, scopeFlag, scopesOf } from '../people-flags.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Creates an API token and prints it on standard output, this once. It is yours, or a service’s when you have no user, ' +
    'and never good for more or longer than the credential you use. The token of a tunnel is "postern tunnel token".',
  positionals: [{ name: 'NAME', description: 'What it is for, as listings show it' }],
  flags: [
    scopeFlag,
    expiresFlag,
    { name: 'user', type: 'string', valueName: 'USER', description: 'ID or name of the user whose token it is' },
    outputFlag,
  ],
  examples: [
    [
      '(umask 077; postern token create ci --scope tunnels:read --expires 720h > token)',
      'Into a file only you can read',
    ],
  ],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const api = await openApi(invocation, context);
    const params = { account: api.account };
    const user = flags.user ? findNamed(await api.client.listUsers({ params }), flags.user, 'user') : undefined;
    const token = await api.client.createToken({
      params,
      body: { name, scopes: scopesOf(flags.scope), expires_on: expiryOf(flags.expiresMs), user_id: user?.id },
    });
    if (format !== undefined) {
      writeFormatted(context, format, token);
      return;
    }
    const scopes = token.scopes.join(' ');
    context.stderr.write(
      `Created API token ${printableLine(token.name)} with ID ${token.id} and the scopes ${scopes}. It is shown this once:\n`,
    );
    context.stdout.write(`${token.value}\n`);
  },
});
