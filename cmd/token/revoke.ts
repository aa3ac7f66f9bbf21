// `token revoke TOKEN`: an API token, at once.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Revokes an API token. Calls with it are refused from now on, and flows that it let in are cut.',
  positionals: [{ name: 'TOKEN', description: 'ID or name of the API token, not its text' }],
  flags: [],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const params = { account: api.account };
    const token = findNamed(await api.client.listTokens({ params }), name, 'token');
    await api.client.revokeToken({ params: { ...params, id: token.id } });
    context.stdout.write(`Revoked API token ${printableLine(token.name)} with ID ${token.id}\n`);
  },
});
