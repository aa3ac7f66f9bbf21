// `tunnel vnet list`. Source: docs/protocol/commands-and-api.md §5.5, §9.6.

import { PosternError } from '../../../internal/errors/error.ts';
import { isUuid } from '../../../internal/schema/api/id.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../../output.ts';
import { printNetworks } from '../../printed/private-documents.ts';
import { formatSeconds, formatTable } from '../../table.ts';
import { openApi } from '../api.ts';

export const command = defineCommand({
  description: 'Lists the virtual networks of the account, deleted ones only when asked for.',
  flags: [
    outputFlag,
    { name: 'id', type: 'string', valueName: 'UUID', description: 'Only the virtual network of this ID' },
    { name: 'name', type: 'string', valueName: 'NAME', description: 'Only the virtual network of this name' },
    { name: 'is-default', type: 'boolean', description: 'Only the default one (=false: only the others)' },
    { name: 'show-deleted', type: 'boolean', description: 'Only deleted ones' },
  ],
  run: async (invocation, context) => {
    const { flags, sources } = invocation;
    const format = parseOutputFormat(flags.output);
    if (flags.id && !isUuid(flags.id))
      throw new PosternError('usage.invalid', `${flags.id} is not a valid virtual network ID`);
    const api = await openApi(invocation, context);
    const networks = await api.client.listNetworks({
      params: { account: api.account },
      query: {
        id: flags.id || undefined,
        name: flags.name || undefined,
        is_default: sources['is-default'] === undefined ? undefined : flags.isDefault,
        is_deleted: flags.showDeleted,
      },
    });
    if (format !== undefined) {
      writePrinted(context, format, printNetworks(networks));
      return;
    }
    if (networks.length === 0) {
      context.stdout.write(
        "No virtual networks were found for the given filter flags. You can use 'postern tunnel vnet add' to add a virtual network.\n",
      );
      return;
    }
    const rows = networks.map(network => [
      network.id,
      network.name,
      String(network.is_default_network),
      network.comment,
      formatSeconds(network.created_at),
      network.deleted_at === null ? '-' : formatSeconds(network.deleted_at),
    ]);
    context.stdout.write(formatTable(['ID', 'NAME', 'IS DEFAULT', 'COMMENT', 'CREATED', 'DELETED'], rows));
  },
});
