// The control-plane API as a command reaches it: which credential (cert.pem), which URL, which CA. Commands on the
// machine of a running edge find it by themselves. Source: docs/protocol/commands-and-api.md §3 (origincert, api-url),
// §5, §7.3, §9.1.

import { dirname, join } from 'node:path';
import { type ApiClient, createApiClient } from '../../internal/api/client.ts';
import { configDirectories } from '../../internal/config/config-file.ts';
import { type OriginCert, parseOriginCert, requireAccount } from '../../internal/credentials/origin-cert.ts';
import { readPrivateFile } from '../../internal/credentials/private-file.ts';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import { foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { Invocation } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { version } from '../version-line.ts';
import { resolveApiProxy } from './edge-proxy.ts';
import { findLocalEdge } from './local-edge.ts';
import { loadSettings } from './settings.ts';

export interface ApiSession {
  readonly client: ApiClient;
  readonly cert: OriginCert;
  /** The account that calls are about; every path of the API names it. */
  readonly account: string;
  /** Where a new tunnel's credentials file goes unless told otherwise. */
  readonly credentialsDir: string;
  /** PEM of the CA of an edge of ours, where it lies beside the credential. */
  readonly edgeCa: () => string | undefined;
  /** `file`, or `keychain`: where credentials are kept that no flag gives a file to. */
  readonly credentialStore: string;
  readonly logSettings: {
    loglevel: string;
    logfile: string | undefined;
    logDirectory: string | undefined;
    logFormat: string;
    output: string;
  };
}

const cloudflareApi = 'https://api.cloudflare.com/client/v4';
const cloudflareFedApi = 'https://api.fed.cloudflare.com/client/v4';

/** Throws 'credentials.not-found' or 'credentials.invalid' when there is no usable cert.pem, and what settings throw. */
export async function openApi(invocation: Pick<Invocation, 'given'>, context: CommandContext): Promise<ApiSession> {
  const { settings } = await loadSettings(invocation, context);
  const found = findCert(settings.origincert, context);
  const cert = parseOriginCert(found.text);
  requireAccount(cert, found.path);
  const apiUrl =
    settings.apiUrl ||
    found.apiUrl ||
    cert.apiUrl ||
    (cert.endpoint === 'fed' ? cloudflareFedApi : undefined) ||
    cloudflareApi;
  // An edge of ours has its CA beside the credential, on its own machine and wherever both files were copied to.
  const isOurs = cert.apiUrl !== undefined && apiUrl.startsWith('https:');
  const caPem = isOurs ? readCa(join(dirname(found.path), 'ca.pem')) : undefined;
  const client = createApiClient({
    apiUrl,
    apiToken: cert.apiToken,
    userAgent: `postern/${version}`,
    caPem,
    proxy: resolveApiProxy(settings, apiUrl, context),
    perPage: settings.maxFetchSize,
  });
  const { loglevel, logfile, logDirectory, logFormat, output } = settings;
  return {
    client,
    cert,
    account: cert.accountId,
    credentialsDir: found.credentialsDir,
    edgeCa: () => (cert.apiUrl === undefined ? undefined : readPrivateFile(join(dirname(found.path), 'ca.pem'))),
    credentialStore: settings.credentialStore,
    logSettings: { loglevel, logfile, logDirectory, logFormat, output },
  };
}

interface FoundCert {
  readonly path: string;
  readonly text: string;
  readonly credentialsDir: string;
  /** Where the edge listens whose credential it is: its own word, newer than the file's when several share a directory. */
  readonly apiUrl?: string | undefined;
}

/**
 * The one named; else that of the edge in POSTERN_STATE_DIR; else ~/.postern/cert.pem, the edge that runs under this user, the
 * usual state directory, and the other searched directories.
 */
function findCert(named: string | undefined, context: CommandContext): FoundCert {
  if (named !== undefined && named !== '') {
    const path = resolvePath(named, context);
    const text = readCert(path, true);
    if (text !== undefined) return { path, text, credentialsDir: dirname(path) };
    throw new PosternError('credentials.not-found', `Cannot find the origin certificate ${path} (--origincert)`);
  }
  const directories = configDirectories(context.homeDir, context.platform);
  const [own = '', ...others] = directories;
  const { namedStateDir, running, stateDirs } = findLocalEdge(context);
  // Credentials of tunnels go where `tunnel run` looks for them, not among the edge's own files.
  const edges = stateDirs.map(directory => ({
    path: join(directory, 'cert.pem'),
    credentialsDir: own,
    apiUrl: directory === running?.stateDir ? running.apiUrl : undefined,
  }));
  const inDirectory = (directory: string) => ({ path: join(directory, 'cert.pem'), credentialsDir: directory });
  const places: readonly Omit<FoundCert, 'text'>[] =
    namedStateDir === undefined ? [inDirectory(own), ...edges, ...others.map(inDirectory)] : edges;
  for (const place of places) {
    const text = readCert(place.path, false);
    if (text !== undefined) return { ...place, text };
  }
  if (namedStateDir !== undefined) {
    throw new PosternError(
      'credentials.not-found',
      `There is no cert.pem in ${namedStateDir} (POSTERN_STATE_DIR): no edge has run there`,
    );
  }
  throw new PosternError(
    'credentials.not-found',
    `There is no cert.pem in [${directories.join(' ')}] and no edge runs under this user. Start one with "postern edge run", or name the certificate of an account with --origincert`,
  );
}

/** A file the user named must be readable; among the searched places one that is not is like one that is not there. */
function readCert(path: string, named: boolean): string | undefined {
  try {
    return readSecretFile(path, 'The origin certificate, which holds an API token,');
  } catch (error) {
    if (isPosternError(error)) throw error;
    const code = foreignCode(error);
    if (!named && (code === 'EACCES' || code === 'EPERM' || code === 'ENOTDIR')) return undefined;
    throw new PosternError('credentials.not-found', `Cannot read ${path}`, { cause: error });
  }
}

function readCa(path: string): string | undefined {
  try {
    return readPrivateFile(path);
  } catch (error) {
    throw new PosternError('credentials.not-found', `Cannot read the CA ${path}`, { cause: error });
  }
}
