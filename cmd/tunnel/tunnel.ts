// `tunnel` without a sub-command: a quick tunnel to one origin. Source: docs/protocol/commands-and-api.md §5.1, §10.

import { requestQuickTunnel } from '../../internal/api/quick-tunnel-client.ts';
import type { ConfigFile } from '../../internal/config/file/config-file.ts';
import { localIngress } from '../../internal/config/file/local-ingress.ts';
import { runFlags } from '../../internal/config/run-flags.ts';
import { decodeBase64 } from '../../internal/credentials/base64.ts';
import type { TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId } from '../../internal/schema/api/id.ts';
import type { ApiQuickTunnel } from '../../internal/schema/api/quick-tunnel.ts';
import { defineCommand } from '../command.ts';
import { openLogger } from '../logging.ts';
import { version } from '../version-line.ts';
import { resolveApiProxy } from './edge-proxy.ts';
import { findOrigin } from './find-origin.ts';
import { chooseQuickService, cloudflareQuickService } from './quick-service.ts';
import { runTunnel } from './run-tunnel.ts';
import { loadSettings } from './settings.ts';

/** Cloudflare gives a quick tunnel one connection (docs/protocol/commands-and-api.md §10); our edge any number. */
const cloudflareQuickConnections = 1;

export const command = defineCommand({
  description:
    'Publishes one origin, by default localhost:8080, under a name of three words and a number, without an account, until it is stopped. The name ' +
    'comes from the edge that runs on this machine, or from --quick-service, which may be Cloudflare.',
  flags: runFlags,
  inheritedHelp: true,
  usualFlags: ['url', 'hello-world', 'quick-service', 'config', 'protocol', 'grace-period'],
  examples: [
    ['postern tunnel', 'Publish what listens at localhost:8080'],
    ['postern tunnel --url http://localhost:3000', 'Publish a web server on this machine'],
    ['postern tunnel --hello-world', 'Publish a test page'],
    ['postern tunnel --name home --hostname home.example.com', 'Create, route and run a named tunnel'],
    [
      `postern tunnel --url http://localhost:3000 --quick-service ${cloudflareQuickService}`,
      'Publish it to the internet',
    ],
  ],
  run: async (invocation, context) => {
    const naming = namingFlags.filter(name => invocation.given[name]?.some(text => text !== '') === true);
    if (naming.length > 0) throw notQuickWith(naming);
    const { settings: given, file } = await loadSettings(invocation, context);
    if (given.name !== undefined && given.name !== '') {
      const { runNamed } = await import('./run-named.ts');
      return await runNamed({ name: given.name, hostname: given.hostname, lbPool: given.lbPool }, invocation, context);
    }
    await using log = await openLogger(context, given);
    const named = localIngress(given, file).source;
    if (file !== undefined && (named === 'file' || namesTunnels(file))) throw notQuick(file);
    const settings = named === 'flags' ? given : { ...given, url: await findOrigin() };
    const origin = localIngress(settings, file).config.rules[0]?.service.text ?? '';
    const { url: serviceUrl, caPem } = await chooseQuickService(settings.quickService, origin, context);
    // Without its scheme, and not on stdout: scripts take the first URL they see for the tunnel's own.
    const service = URL.parse(serviceUrl)?.host ?? serviceUrl;
    log.logger.info({ service }, 'Requesting new quick Tunnel');
    const quick = await requestQuickTunnel({
      ...{ serviceUrl, caPem, userAgent: `postern/${version}` },
      proxy: resolveApiProxy(settings, serviceUrl, context),
    });
    const ours = quick.postern_edge !== undefined;
    const url = quick.postern_url ?? `https://${quick.hostname}`;
    log.logger.info({ url }, 'Your quick Tunnel has been created! Visit it at (it may take some time to be reachable)');
    return await runTunnel(
      {
        settings,
        file: undefined,
        credentials: credentialsOf(quick),
        quickTunnelHost: quick.hostname,
        haConnections: ours ? settings.haConnections : cloudflareQuickConnections,
        log,
        onReady: () => context.stdout.write(`${url} ⟶ ${origin}\n`),
      },
      context,
    );
  },
});

/** They name a tunnel that is there already: a quick tunnel would publish the origin under another name, to everybody. */
const namingFlags = ['token', 'token-file', 'credentials-contents', 'credentials-file'] as const;

function notQuickWith(flags: readonly string[]): PosternError {
  const list = flags.map(name => `--${name}`).join(' and ');
  return new PosternError(
    'usage.invalid',
    `${list} names a tunnel, and \`postern tunnel\` without a command makes a quick one. Write \`postern tunnel run\` ` +
      `with ${list}, or leave ${list} out`,
  );
}

function namesTunnels({ tunnel, tunnels }: ConfigFile): boolean {
  return (tunnel !== undefined && tunnel !== '') || tunnels !== undefined;
}

function notQuick(file: ConfigFile): PosternError {
  const other = "add --config '' to make a quick tunnel without that file";
  if (file.tunnel !== undefined && file.tunnel !== '') {
    const rest = `${file.path} names it; ${other}`;
    return new PosternError('usage.invalid', `use \`postern tunnel run\` to start tunnel ${file.tunnel}: ${rest}`);
  }
  if (file.tunnels !== undefined) {
    const rest = `use \`postern tunnel run\` to start them, or ${other}`;
    return new PosternError('usage.invalid', `${file.path} lists tunnels: ${rest}`);
  }
  const rest = `use \`postern tunnel run\` to serve them, or ${other}`;
  return new PosternError('usage.invalid', `The ingress rules of ${file.path} are for a named tunnel: ${rest}`);
}

function credentialsOf(quick: ApiQuickTunnel): TunnelToken {
  const tunnelId = parseTunnelId(quick.id);
  const secret = decodeBase64(quick.secret);
  if (tunnelId === undefined || secret === undefined) {
    throw new PosternError('api.failed', `failed to parse quick Tunnel ID: ${JSON.stringify(quick.id)}`);
  }
  return {
    tunnelId,
    secret,
    accountTag: quick.account_tag,
    edge: quick.postern_edge,
    caPin: quick.postern_ca_pin,
    sharedPort: quick.postern_shared_port,
  };
}
