// `tunnel delete TUNNEL…`: deletes tunnels and their credentials files. Source: docs/protocol/commands-and-api.md §5.2.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { configDirectories } from '../../internal/config/file/config-file.ts';
import { removeKeychain } from '../../internal/credentials/keychain.ts';
import { readCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { describeError, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { TunnelId } from '../../internal/schema/api/id.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { type ApiSession, openApi } from './api.ts';
import { credentialsFileFlag } from './credentials-file-flag.ts';
import { findTunnel } from './find-tunnel.ts';

export const command = defineCommand({
  description: 'Deletes tunnels. Their tokens and credentials end with them.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of a tunnel', repeated: true }],
  checkArgs: args =>
    args.length > 0
      ? undefined
      : '"postern tunnel delete" requires at least 1 argument, the ID or name of the tunnel to delete.',
  flags: [
    {
      name: 'force',
      aliases: ['f'],
      type: 'boolean',
      env: ['TUNNEL_RUN_FORCE_OVERWRITE'],
      description: 'Also with active connections and routes, which end with it',
    },
    credentialsFileFlag,
  ],
  run: async (invocation, context) => {
    const api = await openApi(invocation, context);
    const ids: TunnelId[] = [];
    for (const name of invocation.args) ids.push(await findTunnel(api, name));
    for (const id of ids) {
      const params = { account: api.account, id };
      const tunnel = await api.client.getTunnel({ params });
      if (tunnel.deleted_at !== null) throw new PosternError('api.not-found', `Tunnel ${id} has already been deleted`);
      await api.client.deleteTunnel({ params, query: { cascade: invocation.flags.force || undefined } });
      context.stdout.write(`Deleted tunnel ${printableLine(tunnel.name)} with id ${id}\n`);
      removeCredentials(id, invocation.flags.credentialsFile, api, context);
      if (api.credentialStore === 'keychain') await removeFromKeychain(id, context);
    }
  },
});

async function removeFromKeychain(id: TunnelId, context: CommandContext): Promise<void> {
  try {
    await removeKeychain(id);
  } catch (error) {
    context.stderr.write(`Tunnel ${id} was deleted, but not its credentials: ${describeError(error)}\n`);
  }
}

/** Removes the file if it is there and is this tunnel's; what cannot be removed is worth a line, not a failure. */
function removeCredentials(id: TunnelId, named: string | undefined, api: ApiSession, context: CommandContext): void {
  const directories = [api.credentialsDir, ...configDirectories(context.homeDir, context.platform)];
  const paths = named ? [resolvePath(named, context)] : directories.map(directory => join(directory, `${id}.json`));
  for (const path of new Set(paths)) {
    try {
      if (readCredentialsFile(path).tunnelId !== id) continue;
      rmSync(path);
    } catch (error) {
      if (isPosternError(error, 'credentials.not-found')) continue;
      const why = describeError(error);
      context.stderr.write(`Tunnel ${id} was deleted, but not its credentials file ${path}: ${why}\n`);
    }
  }
}
