// `tunnel route dns TUNNEL HOSTNAME`: leads a public host name to a tunnel. Source: docs/protocol/commands-and-api.md
// §5.5, §9.4.

import { domainToASCII } from 'node:url';
import { PosternError } from '../../../internal/errors/error.ts';
import { defineCommand } from '../../command.ts';
import { openLogger } from '../../logging.ts';
import { openApi } from '../api.ts';
import { findTunnel } from '../find-tunnel.ts';
import { isHostname } from './hostname-text.ts';

export const command = defineCommand({
  description: 'Leads a public host name to a tunnel: a name in the zone of your credential, or one below it.',
  positionals: [
    { name: 'TUNNEL', description: 'ID or name of the tunnel' },
    { name: 'HOSTNAME', description: 'Host name, or a wildcard such as *.apps.example.com' },
  ],
  checkArgs: args =>
    args.length === 2
      ? undefined
      : 'This command expects the format "postern tunnel route dns <tunnel name/id> <hostname>"',
  flags: [
    {
      name: 'overwrite-dns',
      aliases: ['f'],
      type: 'boolean',
      env: ['TUNNEL_FORCE_PROVISIONING_DNS'],
      description: 'Also when the name leads to another tunnel',
    },
    {
      name: 'tls',
      type: 'string',
      valueName: 'MODE',
      description:
        "What happens to visitors' TLS: terminate at the edge, or passthrough, unopened, to the ingress rule for TCP of the " +
        'name, such as tcp://localhost:443 (default: as it is; terminate for a new name)',
    },
    {
      name: 'proxy-protocol',
      type: 'string',
      valueName: 'VERSION',
      description: 'With --tls passthrough: tell the origin who connects, v1 or v2',
    },
  ],
  run: async (invocation, context) => {
    const [tunnel = '', hostname = ''] = invocation.args;
    if (!isHostname(hostname))
      throw new PosternError(
        'usage.invalid',
        `${hostname} is not a valid hostname: give the name alone, without scheme, port and path`,
      );
    const tls = parseTls(invocation.flags.tls, invocation.flags.proxyProtocol);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, tunnel);
    const result = await api.client.addRoute({
      params: { zone: api.cert.zoneId, id },
      body: { type: 'dns', user_hostname: hostname, overwrite_existing: invocation.flags.overwriteDns, tls },
    });
    const name = result.name || hostname;
    const texts = {
      new: `Added CNAME ${name} which will route to this tunnel`,
      updated: `${name} updated to route to your tunnel`,
      unchanged: `${name} is already configured to route to your tunnel`,
    };
    await using log = await openLogger(context, api.logSettings);
    log.logger.info({ tunnelID: id }, texts[result.cname ?? 'new']);
    // A name of another zone is taken for one below this one.
    const typed = hostname.toLowerCase().replace(/\.$/, '');
    if (
      typed.replace(/^\*\./, '').includes('.') &&
      domainToASCII(typed.replace(/^\*/, 'x')) !== name.replace(/^\*/, 'x')
    )
      log.logger.warn(`${hostname} is not in the zone of your credential: the name is ${name}`);
  },
});

/** Throws 'usage.invalid'. */
function parseTls(
  mode: string | undefined,
  version: string | undefined,
): 'terminate' | 'passthrough' | 'passthrough-v1' | 'passthrough-v2' | undefined {
  if (version !== undefined && mode !== 'passthrough')
    throw new PosternError('usage.invalid', '--proxy-protocol says how --tls passthrough works: give that too');
  if (mode === undefined || mode === 'terminate') return mode;
  if (mode !== 'passthrough')
    throw new PosternError('usage.invalid', `--tls ${JSON.stringify(mode)}: give terminate or passthrough`);
  if (version === undefined) return mode;
  if (version === 'v1' || version === 'v2') return `passthrough-${version}`;
  throw new PosternError('usage.invalid', `--proxy-protocol ${JSON.stringify(version)} is no version: give v1 or v2`);
}
