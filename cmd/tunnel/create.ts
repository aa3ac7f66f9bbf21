// `tunnel create NAME`: makes a tunnel and writes its credentials file. Source: docs/protocol/commands-and-api.md §5.2.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { decodeBase64, encodeBase64 } from '../../internal/credentials/base64.ts';
import { writeKeychain } from '../../internal/credentials/keychain.ts';
import { makePrivateDirectory } from '../../internal/credentials/private-file.ts';
import { writeCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken } from '../../internal/credentials/tunnel-token.ts';
import { describeError, PosternError } from '../../internal/errors/error.ts';
import { isUuid } from '../../internal/schema/api/id.ts';
import { isPrintableLine, printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writePrinted } from '../output.ts';
import { printCreatedTunnel } from '../printed/tunnel-documents.ts';
import { resolvePath } from '../resolve-path.ts';
import { type ApiSession, openApi } from './api.ts';
import { credentialsFileFlag } from './credentials-file-flag.ts';

export const command = defineCommand({
  description:
    'Creates a tunnel and writes the credentials that "postern tunnel run" needs: a file (0600), or an entry of the keychain.',
  positionals: [{ name: 'NAME', description: 'Name of the new tunnel' }],
  checkArgs: args =>
    args.length === 1
      ? undefined
      : '"postern tunnel create" requires exactly 1 argument, the name of tunnel to create.',
  flags: [
    outputFlag,
    credentialsFileFlag,
    {
      name: 'secret',
      aliases: ['s'],
      type: 'string',
      env: ['TUNNEL_CREATE_SECRET'],
      secret: true,
      valueName: 'BASE64',
      description: 'Secret of the tunnel, at least 32 bytes; by default one is made',
    },
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const [name = ''] = invocation.args;
    const secret = parseSecret(invocation.flags.secret);
    const api = await openApi(invocation, context);
    const tunnel = await createTunnel(api, name, secret);

    const named = invocation.flags.credentialsFile;
    const path = named ? resolvePath(named, context) : join(api.credentialsDir, `${tunnel.id}.json`);
    const inKeychain = !named && api.credentialStore === 'keychain';
    try {
      // The token names the edge and its CA; the secret is the one sent, whatever the server gives back.
      const credentials = { ...parseToken(tunnel.token), secret };
      if (inKeychain) await writeKeychain(credentials);
      else {
        if (!named) makePrivateDirectory(api.credentialsDir);
        writeCredentialsFile(path, credentials);
      }
    } catch (error) {
      throw await undoCreate(api, tunnel.id, error);
    }

    if (format !== undefined) {
      writePrinted(context, format, printCreatedTunnel(tunnel));
      return;
    }
    const created = `Created tunnel ${printableLine(tunnel.name)} with id ${tunnel.id}\n`;
    if (inKeychain) {
      context.stdout.write(
        `Tunnel credentials kept in your keychain. To revoke them, delete the tunnel.\n\n${created}`,
      );
      return;
    }
    const chosen = named ? '' : ' postern chose this file based on where your origin certificate was found.';
    context.stdout.write(
      `Tunnel credentials written to ${path}.${chosen} Keep this file secret. ` +
        `To revoke these credentials, delete the tunnel.\n\n${created}`,
    );
  },
});

async function createTunnel(api: ApiSession, name: string, secret: Uint8Array) {
  const failed = (code: PosternError['code'], why: string, cause?: unknown): PosternError =>
    new PosternError(code, `failed to create tunnel: Create Tunnel API call failed: ${why}`, { cause });
  if (isUuid(name)) throw new PosternError('usage.invalid', 'you cannot use UUIDs as tunnel names');
  if (!isPrintableLine(name)) {
    throw new PosternError('usage.invalid', 'the name of a tunnel cannot hold control characters');
  }
  if (name.trim() === '') throw new PosternError('usage.invalid', 'the name of a tunnel cannot be empty');
  try {
    return await api.client.createTunnel({
      params: { account: api.account },
      body: { name, tunnel_secret: encodeBase64(secret) },
    });
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    throw failed(error.code, error.code === 'api.conflict' ? 'tunnel with name already exists' : error.message, error);
  }
}

function parseSecret(text: string | undefined): Uint8Array {
  if (text === undefined || text === '') return randomBytes(32);
  const secret = decodeBase64(text);
  if (secret === undefined) throw new PosternError('usage.invalid', "Couldn't decode tunnel secret from base64");
  if (secret.byteLength < 32) {
    throw new PosternError('usage.invalid', 'Decoded tunnel secret must be at least 32 bytes long');
  }
  return secret;
}

/** A tunnel nobody has the credentials of is deleted again; the error says how that went. */
async function undoCreate(api: ApiSession, id: string, error: unknown): Promise<PosternError> {
  const why = describeError(error);
  const code = error instanceof PosternError ? error.code : 'credentials.invalid';
  try {
    await api.client.deleteTunnel({ params: { account: api.account, id }, query: { cascade: true } });
  } catch (cleanupError) {
    const also = `Deleting the tunnel ${id} again failed too: ${describeError(cleanupError)}`;
    return new PosternError(code, `The credentials could not be kept: ${why}. ${also}`, { cause: error });
  }
  return new PosternError(code, `The credentials could not be kept, the tunnel was deleted again: ${why}`, {
    cause: error,
  });
}
