// `tail [TUNNEL]`: follows the log of a connector through the edge. Source: docs/protocol/commands-and-api.md §17. Differs on
// purpose: a stream that fails ends with code 1.

import { oneOf } from '../../internal/config/flag-checks.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { isUuid } from '../../internal/schema/api/id.ts';
import type { Invocation } from '../command.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { openApi } from '../tunnel/api.ts';
import { resolveApiProxy } from '../tunnel/edge-proxy.ts';
import { readCa } from '../tunnel/edge-settings.ts';
import { loadSettings } from '../tunnel/settings.ts';
import { fetchToken } from './fetch-token.ts';
import { logEvents, streamLogs } from './stream-logs.ts';

export const command = defineCommand({
  description:
    'Follows the log of a running connector of a tunnel, at a level of its own: the connector’s own log does not change. With ' +
    'several connectors --connector-id picks one. One stream at a time; a new one of yours ends the old one.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel; not needed with --token', optional: true }],
  flags: [
    {
      name: 'connector-id',
      type: 'string',
      env: ['TUNNEL_MANAGEMENT_CONNECTOR'],
      valueName: 'UUID',
      check: value => (isUuid(String(value)) ? undefined : `connector-id must be a UUID, not ${value}`),
      description: 'Connector to follow, as `postern tunnel info` lists it; default: any',
    },
    {
      name: 'event',
      type: 'list',
      env: ['TUNNEL_MANAGEMENT_FILTER_EVENTS'],
      valueName: logEvents.join('|'),
      check: values =>
        (values as readonly string[]).map(oneOf('Unknown event', logEvents)).find(fault => fault !== undefined),
      description: 'Only lines about these; repeatable',
    },
    {
      name: 'level',
      type: 'string',
      env: ['TUNNEL_MANAGEMENT_FILTER_LEVEL'],
      default: 'debug',
      valueName: 'LEVEL',
      check: oneOf('Unknown level', ['debug', 'info', 'warn', 'error', 'fatal']),
      description: 'Least severe lines to follow',
    },
    {
      name: 'sample',
      type: 'number',
      env: ['TUNNEL_MANAGEMENT_FILTER_SAMPLE'],
      default: 1,
      check: value =>
        Number(value) > 0 && Number(value) <= 1 ? undefined : `sample must be above 0 and at most 1, not ${value}`,
      description: 'Share of the lines, from 0 to 1',
    },
    {
      name: 'token',
      type: 'string',
      env: ['TUNNEL_MANAGEMENT_TOKEN'],
      secret: true,
      valueName: 'TOKEN',
      description: 'Access token of `postern tail token`; better in the variable, for arguments show in process lists',
    },
  ],
  examples: [
    ['postern tail home', 'Follow the log of the tunnel "home"'],
    ['postern tail --event http --level info home', 'Only its requests'],
  ],
  run: async (invocation, context) => {
    const { settings } = await loadSettings(invocation, context);
    const { flags } = invocation;
    const access = await findAccess(invocation, flags.token, context);
    const named = await readCa(settings, context);
    const url = managementUrl(settings, access.token);
    await streamLogs(
      {
        url,
        token: access.token,
        connectorId: flags.connectorId,
        filters: { events: flags.event, level: flags.level, sampling: flags.sample },
        extraCa: named ?? (access.ca === undefined ? [] : [access.ca]),
        proxy: resolveApiProxy(settings, url.href, context),
        json: settings.output === 'json',
      },
      context,
    );
  },
});

interface Access {
  readonly token: string;
  readonly ca: string | undefined;
}

async function findAccess(
  invocation: Pick<Invocation, 'args' | 'given'>,
  given: string | undefined,
  context: CommandContext,
): Promise<Access> {
  const [tunnel] = invocation.args;
  if (given !== undefined && given !== '') {
    // The token is enough; the CA of an edge of ours is at hand where its credential is.
    const api = await openApi(invocation, context).catch(() => undefined);
    return { token: given, ca: api?.edgeCa() };
  }
  if (tunnel === undefined) {
    throw new PosternError('usage.invalid', 'Name the tunnel whose log you want, by id or name, or give --token');
  }
  const api = await openApi(invocation, context);
  return { token: await fetchToken(api, tunnel, 'logs'), ca: api.edgeCa() };
}

const fedHost = 'management.fed.argotunnel.com';
const fedIssuer = 'fed-tunnelstore';

/** The host that was named; else where the token says that it is good; else Cloudflare's. */
function managementUrl(settings: TunnelSettings, token: string): URL {
  const named = settings.sources['management-hostname'] === undefined ? undefined : settings.managementHostname;
  if (named !== undefined && named !== '') return toUrl(`https://${named}`);
  const issuer = issuerOf(token);
  if (issuer.startsWith('https://') || issuer.startsWith('http://')) return toUrl(issuer);
  return toUrl(`https://${issuer === fedIssuer ? fedHost : settings.managementHostname}`);
}

function toUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null)
    throw new PosternError('usage.invalid', `${text} is no address of a management host (--management-hostname)`);
  return url;
}

/** Read without a check of the signature: it only tells where to send the token that it is part of. */
function issuerOf(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const issuer = typeof claims === 'object' && claims !== null && 'iss' in claims ? claims.iss : undefined;
    return typeof issuer === 'string' ? issuer : '';
  } catch {
    throw new PosternError(
      'usage.invalid',
      'The access token is not a signed token; take one of `postern tail token` (--token)',
    );
  }
}
