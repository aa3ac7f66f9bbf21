// The control plane that a command talks to: which API, with whose credential. Source: spec cli-and-api §7.3, §9.1. Ours:
// without a cert.pem of the user's own, the edge that runs under this user lends its.

import { join, resolve } from 'node:path';
import { type ApiClient, createApiClient } from '../../internal/api/client.ts';
import { configDirectories } from '../../internal/config/config-file.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { readEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import { parseOriginCert, requireAccount } from '../../internal/credentials/origin-cert.ts';
import { readPrivateFile } from '../../internal/credentials/private-file.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../internal/schema/api-id.ts';
import type { CommandContext } from '../context.ts';
import { expandHome } from '../expand-home.ts';
import { version } from '../version-line.ts';

export interface ApiAccess {
  readonly client: ApiClient;
  readonly accountId: string;
  readonly zoneId: string;
}

const cloudflareApiUrl = 'https://api.cloudflare.com/client/v4';

/** Throws 'credentials.not-found' when there is no cert.pem, 'credentials.invalid' when it cannot be used. */
export function openApi(settings: TunnelSettings, context: CommandContext): ApiAccess {
  const { path, text } = findCert(settings, context);
  const cert = parseOriginCert(text);
  requireAccount(cert, path);
  const apiUrl = settings.apiUrl ?? cert.apiUrl ?? cloudflareApiUrl;
  const client = createApiClient({
    apiUrl,
    apiToken: cert.apiToken,
    userAgent: `postern/${version}`,
    perPage: settings.maxFetchSize,
  });
  return { client, accountId: cert.accountId, zoneId: cert.zoneId };
}

/** The id of the live tunnel with this name; undefined when the account has none. */
export async function findTunnelByName({ client, accountId }: ApiAccess, name: string): Promise<TunnelId | undefined> {
  const tunnels = await client.listTunnels({ params: { account: accountId }, query: { name, is_deleted: false } });
  const found = tunnels.find(tunnel => tunnel.name === name);
  return found === undefined ? undefined : parseTunnelId(found.id);
}

function findCert(settings: TunnelSettings, context: CommandContext): { path: string; text: string } {
  const candidates: string[] = [];
  if (settings.origincert !== undefined && settings.origincert !== '') {
    candidates.push(resolve(context.cwd, expandHome(settings.origincert, context.homeDir)));
  } else {
    const pointer = readEdgePointer(join(context.homeDir, '.postern'));
    candidates.push(
      ...configDirectories(context.homeDir, context.platform).map(directory => join(directory, 'cert.pem')),
    );
    if (pointer !== undefined) candidates.push(join(pointer.stateDir, 'cert.pem'));
  }
  for (const path of candidates) {
    const text = readPrivateFile(path);
    if (text !== undefined) return { path, text };
  }
  throw new PosternError(
    'credentials.not-found',
    `Cannot determine default origin certificate path. No file cert.pem in [${candidates.join(' ')}]. Start an edge with ` +
      '"postern edge run", or name a certificate with --origincert',
  );
}
