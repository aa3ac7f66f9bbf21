// `tunnel token TUNNEL`: prints the token, or writes it as a credentials file. Source:
// docs/protocol/commands-and-api.md §5.2.

import { writeKeychain } from '../../internal/credentials/keychain.ts';
import { writeCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken } from '../../internal/credentials/tunnel-token.ts';
import { defineCommand } from '../command.ts';
import { resolvePath } from '../resolve-path.ts';
import { openApi } from './api.ts';
import { credentialsFileFlag } from './credentials-file-flag.ts';
import { findTunnel } from './find-tunnel.ts';

export const command = defineCommand({
  description:
    'Prints the token with which a connector joins: postern tunnel run --token-file FILE. With --credential-store keychain it ' +
    'is kept there instead.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : '"postern tunnel token" requires exactly 1 argument, the name or UUID of tunnel to fetch the credentials token for.',
  flags: [{ ...credentialsFileFlag, description: 'Write the credentials to this new file (0600) instead' }],
  run: async (invocation, context) => {
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const token = await api.client.getTunnelToken({ params: { account: api.account, id } });
    const named = invocation.flags.credentialsFile;
    if (named) {
      writeCredentialsFile(resolvePath(named, context), parseToken(token));
      return;
    }
    // A variable that stands for all commands must not hide what this one is for.
    if (invocation.given['credential-store'] !== undefined && api.credentialStore === 'keychain') {
      await writeKeychain(parseToken(token));
      context.stdout.write(
        `Tunnel credentials kept in your keychain: postern tunnel run --credential-store keychain ${id}\n`,
      );
      return;
    }
    context.stdout.write(`${token}\n`);
  },
});
