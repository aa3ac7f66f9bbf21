// Who a connector registers as: a token, or the id of a tunnel and its credentials. Source:
// docs/protocol/commands-and-api.md §4.

import { dirname, join } from 'node:path';
import { type ConfigFile, configDirectories } from '../../internal/config/file/config-file.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import {
  parseCredentials,
  readCredentialsFile,
  type TunnelCredentials,
} from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken, type TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { isPosternError, PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../internal/schema/api/id.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { givenToken, readTokenFile, systemdCredential, systemdCredentials } from './run-token.ts';

export interface RunCredentialsInputs {
  readonly settings: TunnelSettings;
  readonly file: ConfigFile | undefined;
  /** Positional arguments: the tunnel's id or name. */
  readonly args: readonly string[];
  /** Asks the control plane for a tunnel's id; throws 'api.not-found' when it knows no such name. */
  readonly findByName: (name: string) => Promise<TunnelId>;
}

/** Throws 'usage.invalid', 'credentials.invalid', 'credentials.not-found', or what `findByName` throws. */
export async function resolveRunCredentials(
  inputs: RunCredentialsInputs,
  context: CommandContext,
): Promise<TunnelToken> {
  const token = (await givenToken(inputs.settings, context)) ?? loadedToken(inputs, context);
  if (token !== undefined) return token;
  const named = tunnelArgument(inputs);
  const given = readGivenCredentials(inputs, context);
  const tunnelId = parseTunnelId(named) ?? given?.tunnelId ?? (await inputs.findByName(named));
  return { ...(given ?? (await storedCredentials(tunnelId, inputs, context))), tunnelId };
}

/** A token that systemd loaded, unless the command line or a variable names something else. */
function loadedToken({ settings, args }: RunCredentialsInputs, context: CommandContext): TunnelToken | undefined {
  const path = systemdCredential(systemdCredentials.token, context);
  if (path === undefined || args.length > 0 || namesCredentials(settings)) return undefined;
  return parseToken(readTokenFile(path));
}

/** What the config file says was written for a user who can read it; a service gets a copy. */
function namesCredentials({ sources }: TunnelSettings): boolean {
  return ['credentials-contents', 'credentials-file'].some(name => sources[name] === 'flag' || sources[name] === 'env');
}

function tunnelArgument({ args, file }: RunCredentialsInputs): string {
  if (args.length > 1) {
    throw new PosternError(
      'usage.invalid',
      `"postern tunnel run" accepts only one argument, the ID or name of the tunnel to run, not ${args.length}`,
    );
  }
  const named = args[0] ?? file?.tunnel;
  if (named !== undefined && named !== '') return named;
  throw new PosternError(
    'usage.invalid',
    '"postern tunnel run" requires the ID or name of the tunnel to run as the last command line argument or in the configuration file, or its token with --token-file',
  );
}

/** Credentials that the user names; undefined when none are. */
function readGivenCredentials(
  { settings }: RunCredentialsInputs,
  context: CommandContext,
): TunnelCredentials | undefined {
  const loaded = namesCredentials(settings) ? undefined : systemdCredential(systemdCredentials.credentials, context);
  if (loaded !== undefined) return readCredentialsFile(loaded);
  if (settings.credentialsContents !== undefined && settings.credentialsContents !== '') {
    return parseCredentials(settings.credentialsContents, 'The value of --credentials-contents');
  }
  if (settings.credentialsFile === undefined || settings.credentialsFile === '') return undefined;
  return readCredentialsFile(resolvePath(settings.credentialsFile, context));
}

async function storedCredentials(
  tunnelId: TunnelId,
  inputs: RunCredentialsInputs,
  context: CommandContext,
): Promise<TunnelCredentials> {
  if (inputs.settings.credentialStore !== 'keychain') return searchCredentials(tunnelId, inputs, context);
  const { readKeychain } = await import('../../internal/credentials/keychain.ts');
  const found = await readKeychain(tunnelId);
  if (found !== undefined) return found;
  throw new PosternError(
    'credentials.not-found',
    `The keychain has no credentials of tunnel ${tunnelId}. Put them there with: postern tunnel token --credential-store ` +
      `keychain ${tunnelId}`,
  );
}

/** `<uuid>.json` beside cert.pem, then in the searched directories. */
function searchCredentials(
  tunnelId: TunnelId,
  { settings }: RunCredentialsInputs,
  context: CommandContext,
): TunnelCredentials {
  const beside = settings.origincert === undefined ? [] : [dirname(resolvePath(settings.origincert, context))];
  const directories = [...beside, ...configDirectories(context.homeDir, context.platform)];
  for (const directory of directories) {
    try {
      return readCredentialsFile(join(directory, `${tunnelId}.json`));
    } catch (error) {
      if (!isPosternError(error, 'credentials.not-found')) throw error;
    }
  }
  throw new PosternError(
    'credentials.not-found',
    `Tunnel credentials file not found: no ${tunnelId}.json in ${directories.join(', ')}. Name it with --credentials-file, or use --token-file`,
  );
}
