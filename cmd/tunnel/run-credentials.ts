// Who a connector registers as: a token, or the id of a tunnel and its credentials. Source:
// docs/protocol/commands-and-api.md §4.

import { dirname, join, resolve } from 'node:path';
import { type ConfigFile, configDirectories } from '../../internal/config/config-file.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { readPrivateFile } from '../../internal/credentials/private-file.ts';
import {
  parseCredentials,
  readCredentialsFile,
  type TunnelCredentials,
} from '../../internal/credentials/tunnel-credentials.ts';
import { parseToken, type TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { describeError, foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../internal/schema/api-id.ts';
import type { CommandContext } from '../context.ts';
import { expandHome } from '../expand-home.ts';

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
  const { settings } = inputs;
  if (settings.token !== undefined && settings.token !== '') return parseToken(settings.token);
  if (settings.tokenFile !== undefined && settings.tokenFile !== '')
    return parseToken(readTokenFile(settings.tokenFile, context));
  const named = tunnelArgument(inputs);
  const given = readGivenCredentials(inputs, context);
  const tunnelId = parseTunnelId(named) ?? given?.tunnelId ?? (await inputs.findByName(named));
  return { ...(given ?? searchCredentials(tunnelId, inputs, context)), tunnelId };
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
    '"postern tunnel run" requires the ID or name of the tunnel to run as the last command line argument or in the configuration file',
  );
}

function readTokenFile(path: string, context: CommandContext): string {
  const file = absolute(path, context);
  let text: string | undefined;
  try {
    text = readPrivateFile(file);
  } catch (error) {
    throw new PosternError(
      'usage.invalid',
      `Failed to read token file: ${file} (${foreignCode(error) ?? describeError(error)})`,
      {
        cause: error,
      },
    );
  }
  if (text === undefined) throw new PosternError('usage.invalid', `Failed to read token file: ${file} does not exist`);
  return text.trim();
}

/** Credentials that the user names; undefined when none are. */
function readGivenCredentials(
  { settings }: RunCredentialsInputs,
  context: CommandContext,
): TunnelCredentials | undefined {
  if (settings.credentialsContents !== undefined && settings.credentialsContents !== '') {
    return parseCredentials(settings.credentialsContents, 'The value of --credentials-contents');
  }
  if (settings.credentialsFile === undefined || settings.credentialsFile === '') return undefined;
  return readCredentialsFile(absolute(settings.credentialsFile, context));
}

/** `<uuid>.json` beside cert.pem, then in the searched directories. */
function searchCredentials(
  tunnelId: TunnelId,
  { settings }: RunCredentialsInputs,
  context: CommandContext,
): TunnelCredentials {
  const beside = settings.origincert === undefined ? [] : [dirname(absolute(settings.origincert, context))];
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

function absolute(path: string, context: CommandContext): string {
  return resolve(context.cwd, expandHome(path, context.homeDir));
}
