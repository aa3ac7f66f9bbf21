// Works out from flags and credentials which edge to dial and which certificates to trust. Source: docs/protocol/edge-protocol.md §2.2,
// §2.3, §5.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import type { EdgeSettings } from '../../internal/connector/edge-access.ts';
import type { TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import type { EdgeIpVersion } from '../../internal/discovery/address-pool.ts';
import { parseEdgeTarget } from '../../internal/discovery/edge-address.ts';
import { parseCertificates } from '../../internal/discovery/trust-roots.ts';
import { foreignCode, PosternError } from '../../internal/errors/error.ts';
import { maxPemBytes, readText, unreadableReason } from '../../internal/net/file/read-text.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { resolveEdgeProxy } from './edge-proxy.ts';

/**
 * `--edge` beats the credentials' addresses; `--cacert` beats their pin. Throws 'config.invalid' or 'usage.invalid' for
 * what cannot be used.
 */
export async function resolveEdgeSettings(
  settings: TunnelSettings,
  credentials: Pick<TunnelToken, 'edge' | 'caPin' | 'endpoint' | 'sharedPort'>,
  context: CommandContext,
  logger: Logger,
): Promise<EdgeSettings> {
  const isNamed = settings.edge.length > 0;
  const addresses = (isNamed ? settings.edge : (credentials.edge ?? [])).map(parseEdgeTarget);
  const [target = cloudflareTarget] = addresses;
  return {
    addresses,
    proxy: resolveEdgeProxy(settings, target, context),
    // Of an edge that is named nothing is known: the usual port is worth a try, and who answers there must be trusted.
    sharedPort: credentials.sharedPort ?? (isNamed ? usualSharedPort : undefined),
    region: settings.region !== undefined && settings.region !== '' ? settings.region : credentials.endpoint,
    ipVersion: await resolveIpVersion(settings, logger),
    bindAddress: settings.edgeBindAddress,
    ca: await readCa(settings, context),
    caPin: credentials.caPin,
    rootsFile: join(context.homeDir, '.postern', 'cloudflare-roots.pem'),
  };
}

/** For the choice of a proxy by NO_PROXY. */
const cloudflareTarget = { host: 'region1.v2.argotunnel.com', port: 7844 };
const usualSharedPort = 443;

/** The PEM certificates of --cacert; undefined without it. Throws 'config.invalid'. */
export async function readCa(
  { cacert }: Pick<TunnelSettings, 'cacert'>,
  context: CommandContext,
): Promise<readonly string[] | undefined> {
  if (cacert === undefined || cacert === '') return undefined;
  const file = resolvePath(cacert, context);
  let text: string;
  try {
    text = await readText(file, maxPemBytes);
  } catch (error) {
    throw new PosternError(
      'config.invalid',
      `Cannot read the CA file ${file} of --cacert (${unreadableReason(error)})`,
      {
        cause: error,
      },
    );
  }
  return parseCertificates(text, file);
}

/** The family of the bind address wins. */
async function resolveIpVersion(settings: TunnelSettings, logger: Logger): Promise<EdgeIpVersion> {
  const asked = settings.edgeIpVersion === '4' ? 4 : settings.edgeIpVersion === '6' ? 6 : 'auto';
  const bind = settings.edgeBindAddress;
  if (bind === undefined) return asked;
  const family = isIP(bind) === 6 ? 6 : 4;
  await checkBindable(bind, family);
  if (asked !== 'auto' && asked !== family) {
    logger.warn({ edgeIpVersion: asked, edgeBindAddress: bind }, 'Overriding edge-ip-version');
  }
  return family;
}

async function checkBindable(address: string, family: 4 | 6): Promise<void> {
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    socket.bind(0, address);
    await once(socket, 'listening');
  } catch (error) {
    throw new PosternError(
      'config.invalid',
      `invalid edge-bind-address ${address}: ${foreignCode(error) ?? 'cannot bind'}`,
      {
        cause: error,
      },
    );
  } finally {
    socket.close();
  }
}
