// `group add NAME`.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Adds a group: users under one name.',
  positionals: [{ name: 'NAME', description: 'Name of the group' }],
  flags: [outputFlag],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const group = await api.client.addGroup({ params: { account: api.account }, body: { name } });
    if (format !== undefined) writeFormatted(context, format, group);
    else context.stdout.write(`Added group ${printableLine(group.name)} with ID ${group.id}\n`);
  },
});
