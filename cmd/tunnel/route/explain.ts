// `tunnel route explain CIDR|IP|NAME`: which tunnel a private network, address or host name leads to, in each virtual network.

import { domainToASCII } from 'node:url';
import { PosternError } from '../../../internal/errors/error.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../../internal/net/address/prefix.ts';
import { explainBlock } from '../../../internal/private-network/routes/route-questions.ts';
import type { ApiPrivateHostname } from '../../../internal/schema/api/private-route.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { type OutputFormat, outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { type ApiSession, openApi } from '../api.ts';
import { listNamedRoutes, type NamedRoute, showNamedRoute } from './ip/named-routes.ts';

export const command = defineCommand({
  description:
    'Says which tunnel a private network, address or host name leads to, in every virtual network, and what leads nowhere.',
  positionals: [{ name: 'WHAT', description: 'Network in CIDR form, address, or private host name' }],
  checkArgs: args =>
    args.length === 1 ? undefined : 'You must supply exactly one argument: a network, address or name',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const [text = ''] = invocation.args;
    const block = parsePrefix(text);
    const name = block === undefined ? domainToASCII(text).replace(/\.$/, '') : '';
    if (block === undefined && (text.includes('/') || !/^[-_.a-z0-9]+$/.test(name)))
      throw new PosternError(
        'usage.invalid',
        `${JSON.stringify(text)} is no network in CIDR form with host bits that are zero, no address and no host name`,
      );
    const api = await openApi(invocation, context);
    if (block === undefined) await explainName(api, name, format, context);
    else await explainRoutes(api, block, format, context);
  },
});

async function explainRoutes(
  api: ApiSession,
  block: Prefix,
  format: OutputFormat,
  context: CommandContext,
): Promise<void> {
  const [routes, tunnels] = await Promise.all([
    listNamedRoutes(api),
    api.client.listTunnels({ params: { account: api.account }, query: { is_deleted: false } }),
  ]);
  const status = (id: string | undefined): string => tunnels.find(tunnel => tunnel.id === id)?.status ?? 'unknown';
  const answers = explainBlock(block, routes);
  if (format !== undefined) {
    const show = (route: NamedRoute) => ({ ...showNamedRoute(route), tunnel_status: status(route.tunnel_id) });
    const shown = answers.map(({ covering, inside, uncovered }) => ({
      virtual_network: [covering, ...inside].find(route => route !== undefined)?.networkName ?? '',
      covering: covering === undefined ? null : show(covering),
      inside: inside.map(show),
      uncovered,
    }));
    writeFormatted(context, format, shown);
    return;
  }
  const asked = formatPrefix(block);
  if (answers.length === 0) {
    context.stdout.write(`No private route leads ${asked}, or a part of it, anywhere\n`);
    return;
  }
  const line = ({ network, tunnel_id: id, tunnel_name: name }: NamedRoute): string =>
    `tunnel ${printableLine(name)} (${status(id)}), by the route ${network}\n`;
  for (const { covering, inside, uncovered } of answers) {
    const any = covering ?? inside[0];
    context.stdout.write(
      `Virtual network ${printableLine(any?.networkName ?? '')}${any?.isDefaultNetwork === true ? ' (the default)' : ''}:\n`,
    );
    if (covering !== undefined) context.stdout.write(`  ${asked}: ${line(covering)}`);
    for (const route of inside) context.stdout.write(`  ${route.network}: ${line(route)}`);
    if (uncovered.length > 0) context.stdout.write(`  nowhere: ${uncovered.join(', ')}\n`);
  }
}

async function explainName(
  api: ApiSession,
  name: string,
  format: OutputFormat,
  context: CommandContext,
): Promise<void> {
  const params = { account: api.account };
  const [routes, networks] = await Promise.all([
    api.client.listHostnameRoutes({ params, query: { is_deleted: false } }),
    api.client.listNetworks({ params, query: { is_deleted: false } }),
  ]);
  const found = networks.flatMap(network => {
    const route = longestMatch(
      name,
      routes.filter(one => one.virtual_network_id === network.id),
    );
    return route === undefined ? [] : [{ network, route }];
  });
  if (format !== undefined) {
    const shown = found.map(({ network, route: { hostname, id, tunnel_id, tunnel_name } }) => ({
      ...{ virtual_network: network.name, id, hostname, tunnel_id, tunnel_name },
    }));
    writeFormatted(context, format, shown);
  } else if (found.length === 0) context.stdout.write(`No route of a private host name leads ${name} anywhere\n`);
  for (const { network, route } of format === undefined ? found : []) {
    const which = network.is_default_network ? ' (the default)' : '';
    context.stdout.write(
      `Virtual network ${printableLine(network.name)}${which}:\n` +
        `  ${name}: tunnel ${printableLine(route.tunnel_name)}, by the route ${route.hostname}; its connector looks the name up\n`,
    );
  }
}

/** The name itself, else the longest wildcard. */
function longestMatch(name: string, routes: readonly ApiPrivateHostname[]): ApiPrivateHostname | undefined {
  return (
    routes.find(route => route.hostname === name) ??
    routes
      .filter(({ hostname }) => hostname.startsWith('*.') && name.endsWith(hostname.slice(1)))
      .toSorted((left, right) => right.hostname.length - left.hostname.length)[0]
  );
}
