// `tunnel cleanup TUNNEL…`: closes the connections of tunnels. Source: docs/protocol/commands-and-api.md §5.2; unlike
// cloudflared a failure shows in the exit code.

import { describeError, PosternError } from '../../internal/errors/error.ts';
import { isUuid } from '../../internal/schema/api/id.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { openApi } from './api.ts';
import { findTunnel } from './find-tunnel.ts';

export const command = defineCommand({
  description: 'Closes the connections of tunnels; connectors that still run connect again.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of a tunnel', repeated: true }],
  checkArgs: args =>
    args.length > 0
      ? undefined
      : '"postern tunnel cleanup" requires at least 1 argument, the IDs of the tunnels to cleanup connections.',
  flags: [
    {
      name: 'connector-id',
      aliases: ['c'],
      type: 'string',
      env: ['TUNNEL_CLEANUP_CONNECTOR'],
      valueName: 'UUID',
      description: 'Only the connections of this connector',
    },
  ],
  run: async (invocation, context) => {
    const clientId = invocation.flags.connectorId || undefined;
    if (clientId !== undefined && !isUuid(clientId)) {
      throw new PosternError('usage.invalid', `${clientId} is not a valid connector ID`);
    }
    const api = await openApi(invocation, context);
    let failures = 0;
    for (const name of invocation.args) {
      try {
        const id = await findTunnel(api, name);
        await api.client.cleanupConnections({ params: { account: api.account, id }, query: { client_id: clientId } });
        const whose = clientId === undefined ? '' : ` of connector ${clientId}`;
        context.stdout.write(`Closed the connections${whose} of tunnel ${printableLine(name)}\n`);
      } catch (error) {
        failures += 1;
        context.stderr.write(`Error cleaning up connections of tunnel ${name}: ${describeError(error)}\n`);
      }
    }
    return failures === 0 ? 0 : 1;
  },
});
