// `device list`: the machines of users.

import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Lists the devices of the users of the account.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const devices = await api.client.listDevices({ params: { account: api.account } });
    if (format !== undefined) writeFormatted(context, format, devices);
    else if (devices.length === 0) context.stdout.write("There are no devices. 'postern device add' adds one.\n");
    else {
      const rows = devices.map(({ id, name, user, created_at: created }) => [
        id,
        name,
        user.name,
        formatSeconds(created),
      ]);
      context.stdout.write(formatTable(['ID', 'NAME', 'USER', 'CREATED'], rows));
    }
  },
});
