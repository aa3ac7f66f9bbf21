// `user list`: the users of the account.

import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Lists the users of the account, and what each may do.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const users = await api.client.listUsers({ params: { account: api.account } });
    if (format !== undefined) writeFormatted(context, format, users);
    else if (users.length === 0) context.stdout.write("There are no users. 'postern user add' adds one.\n");
    else {
      const rows = users.map(user => [user.id, user.name, formatSeconds(user.created_at), user.scopes.join(' ')]);
      context.stdout.write(formatTable(['ID', 'NAME', 'CREATED', 'SCOPES'], rows));
    }
  },
});
