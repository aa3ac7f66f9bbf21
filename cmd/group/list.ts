// `group list`: the groups of the account and their members.

import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Lists the groups of the account and their members.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const groups = await api.client.listGroups({ params: { account: api.account } });
    if (format !== undefined) writeFormatted(context, format, groups);
    else if (groups.length === 0) context.stdout.write("There are no groups. 'postern group add' adds one.\n");
    else {
      const rows = groups.map(({ id, name, created_at: created, members }) => [
        id,
        name,
        formatSeconds(created),
        members.map(member => member.name).join(', '),
      ]);
      context.stdout.write(formatTable(['ID', 'NAME', 'CREATED', 'MEMBERS'], rows));
    }
  },
});
