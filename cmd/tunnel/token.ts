// `tunnel token TUNNEL`: prints the token, or writes it as a credentials file. Source:
// docs/protocol/commands-and-api.md §5.2.

import { join } from 'node:path';
import { writeKeychain } from '../../internal/credentials/keychain.ts';
import { renewCredentialsFile, writeCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken } from '../../internal/credentials/tunnel-token.ts';
import { describeError, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { TunnelId } from '../../internal/schema/api/id.ts';
import { maxOverlapSeconds } from '../../internal/schema/api/tunnel.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { type ApiSession, openApi } from './api.ts';
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
  flags: [
    { ...credentialsFileFlag, description: 'Write the credentials to this new file (0600) instead' },
    {
      name: 'rotate',
      type: 'boolean',
      description:
        'Make a new token first; connectors with the old one go on until --overlap is over. The credentials file that ' +
        '`tunnel create` wrote on this machine gets the new one',
    },
    {
      name: 'overlap',
      type: 'duration',
      default: '24h',
      check: value => (Number(value) <= maxOverlapSeconds * 1_000 ? undefined : 'overlap can be 168h at most'),
      description: 'With --rotate: how long the old token stays good; 0s cuts its connectors now. At most 168h',
    },
  ],
  examples: [
    ['postern tunnel token home', 'Print the token of the tunnel "home"'],
    ['postern tunnel token --rotate --overlap 48h home', 'Replace it, with two days to bring the new one everywhere'],
  ],
  run: async (invocation, context) => {
    if (invocation.sources.overlap === 'flag' && !invocation.flags.rotate)
      throw new PosternError('usage.invalid', '--overlap is of --rotate, which is not given: nothing would be rotated');
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const params = { account: api.account, id };
    const token = invocation.flags.rotate
      ? await rotate(api, id, invocation.flags.overlapMs, context)
      : await api.client.getTunnelToken({ params });
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

/** The new token; until when the old one is good, and what else changed, goes to stderr, for a person. */
async function rotate(
  { account, client, credentialsDir }: ApiSession,
  id: TunnelId,
  overlapMs: number,
  { stderr }: CommandContext,
): Promise<string> {
  const body = { overlap_seconds: Math.ceil(overlapMs / 1_000) };
  const { token, old_token_valid_until: until } = await client.rotateTunnelToken({ params: { account, id }, body });
  stderr.write(
    overlapMs === 0
      ? 'The old token is no longer good, and connectors that use it were cut.\n'
      : `The old token is good until ${until}; connectors that still use it then are cut.\n`,
  );
  const path = join(credentialsDir, `${id}.json`);
  try {
    if (renewCredentialsFile(path, parseToken(token)))
      stderr.write(`${path} has the new credentials; restart connectors that were started with it.\n`);
  } catch (error) {
    // The old token is gone already: the new one must reach the caller whatever is wrong with a file.
    if (!isPosternError(error)) throw error;
    stderr.write(`${path} still has the old credentials: ${describeError(error)}\n`);
  }
  return token;
}
