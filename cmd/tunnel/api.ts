// The control-plane API as a command reaches it: which credential (cert.pem or an API token), which URL, which CA. Commands on the
// machine of a running edge find it by themselves. Source: docs/protocol/commands-and-api.md §3 (origincert, api-url),
// §5, §7.3, §9.1.

import { dirname, join } from 'node:path';
import { type ApiClient, createApiClient } from '../../internal/api/client.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { type OriginCert, parseOriginCert, requireAccount } from '../../internal/credentials/origin-cert.ts';
import { readCurrentProfile } from '../../internal/credentials/profiles.ts';
import { PosternError } from '../../internal/errors/error.ts';
import type { Invocation } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { version } from '../version-line.ts';
import { resolveApiProxy } from './edge-proxy.ts';
import { type FoundCert, namedCert, profileCert, readCa, searchCert } from './find-cert.ts';
import { findLocalEdge } from './local-edge.ts';
import { loadSettings } from './settings.ts';

export interface ApiSession {
  readonly client: ApiClient;
  /** Base URL with /client/v4. */
  readonly apiUrl: string;
  /** The private CA of the edge. */
  readonly caPem: string | undefined;
  /** Where the credential came from: a path, or the name of a variable. */
  readonly source: string;
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

/**
 * Throws 'credentials.not-found' or 'credentials.invalid' when there is no usable credential, what settings throw, and for an
 * API token what the edge answers to the question whose it is.
 */
export async function openApi(invocation: Pick<Invocation, 'given'>, context: CommandContext): Promise<ApiSession> {
  const { settings } = await loadSettings(invocation, context);
  return openApiOf(settings, context);
}

/** The API that these settings lead to; throws what openApi throws. */
export async function openApiOf(settings: TunnelSettings, context: CommandContext): Promise<ApiSession> {
  const { cert, ...found } = await findCredential(settings, context);
  const client = createApiClient({
    apiUrl: found.apiUrl,
    apiToken: cert.apiToken,
    userAgent,
    caPem: found.caPem,
    proxy: resolveApiProxy(settings, found.apiUrl, context),
    perPage: settings.maxFetchSize,
  });
  const { loglevel, logfile, logDirectory, logFormat, output } = settings;
  return {
    client,
    apiUrl: found.apiUrl,
    caPem: found.caPem,
    source: found.source,
    cert,
    account: cert.accountId,
    credentialsDir: found.credentialsDir,
    edgeCa: found.edgeCa,
    credentialStore: settings.credentialStore,
    logSettings: { loglevel, logfile, logDirectory, logFormat, output },
  };
}

export const userAgent = `postern/${version}`;
/** The variable that gives an API token, for programs that keep no file. */
const tokenVariable = 'POSTERN_API_TOKEN';

interface Credential {
  readonly cert: OriginCert;
  readonly source: string;
  readonly apiUrl: string;
  readonly caPem: string | undefined;
  readonly edgeCa: () => string | undefined;
  readonly credentialsDir: string;
}

/** Flags before variables, variables before files; of equals the more particular one. */
async function findCredential(settings: TunnelSettings, context: CommandContext): Promise<Credential> {
  const { origincert, profile, sources } = settings;
  const isCertNamed = origincert !== undefined && origincert !== '';
  const isProfileNamed = profile !== undefined && profile !== '';
  if (isCertNamed && sources.origincert === 'flag') return ofCert(namedCert(origincert, context), settings, context);
  if (isProfileNamed && sources.profile === 'flag') return ofCert(profileCert(profile, context), settings, context);
  const token = context.env[tokenVariable];
  if (token !== undefined && token !== '') return ofToken(token.trim(), settings, context);
  if (isCertNamed) return ofCert(namedCert(origincert, context), settings, context);
  const current = isProfileNamed ? profile : readCurrentProfile(context.homeDir);
  return ofCert(current === undefined ? searchCert(context) : profileCert(current, context), settings, context);
}

function parseCert({ path, text }: FoundCert): OriginCert {
  try {
    return parseOriginCert(text);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    throw new PosternError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

function ofCert(found: FoundCert, settings: TunnelSettings, context: CommandContext): Credential {
  const cert = parseCert(found);
  requireAccount(cert, found.path);
  const apiUrl =
    settings.apiUrl ||
    found.apiUrl ||
    cert.apiUrl ||
    (cert.endpoint === 'fed' ? cloudflareFedApi : undefined) ||
    cloudflareApi;
  // An edge of ours has its CA beside the credential, on its own machine and wherever both files were copied to.
  const isOurs = cert.apiUrl !== undefined && apiUrl.startsWith('https:');
  const caBeside = (): string | undefined => readCa(join(dirname(found.path), 'ca.pem'));
  const caPem = isOurs ? (caBeside() ?? namedCa(settings, context)) : undefined;
  const edgeCa = (): string | undefined => (cert.apiUrl === undefined ? undefined : caBeside());
  return { cert, source: found.path, apiUrl, caPem, edgeCa, credentialsDir: found.credentialsDir };
}

/** A token alone names no account: the edge is asked. */
async function ofToken(apiToken: string, settings: TunnelSettings, context: CommandContext): Promise<Credential> {
  const { running } = findLocalEdge(context);
  const apiUrl = settings.apiUrl || running?.apiUrl;
  if (apiUrl === undefined) {
    throw new PosternError(
      'usage.invalid',
      `${tokenVariable} is set, and no edge runs under this user: name the API with --api-url`,
    );
  }
  const edgeCa = (): string | undefined =>
    apiUrl === running?.apiUrl ? readCa(join(running.stateDir, 'ca.pem')) : undefined;
  const caPem = apiUrl.startsWith('https:') ? (namedCa(settings, context) ?? edgeCa()) : undefined;
  const client = createApiClient({
    apiUrl,
    apiToken,
    userAgent,
    caPem,
    proxy: resolveApiProxy(settings, apiUrl, context),
  });
  const { account, zone } = await client.whoAmI({ params: {} });
  const cert = { zoneId: zone.id, accountId: account.id, apiToken, apiUrl };
  return { cert, source: tokenVariable, apiUrl, caPem, edgeCa, credentialsDir: join(context.homeDir, '.postern') };
}

/** That of --cacert. */
export function namedCa({ cacert }: Pick<TunnelSettings, 'cacert'>, context: CommandContext): string | undefined {
  if (cacert === undefined || cacert === '') return undefined;
  const path = resolvePath(cacert, context);
  const text = readCa(path);
  if (text === undefined) throw new PosternError('config.invalid', `The CA file ${path} of --cacert is not there`);
  return text;
}
