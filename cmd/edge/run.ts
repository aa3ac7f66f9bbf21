// `edge run`: an edge node in the foreground until it is stopped. Exit codes: 0 after an orderly stop, 1 when it cannot
// listen or open its state, 3 for a bad configuration. SIGHUP reads
// certificate files and the error page again.

import { hostname } from 'node:os';
import { join } from 'node:path';
import { logFlags } from '../../internal/config/log-flags.ts';
import { resolveFlags } from '../../internal/config/resolve-flags.ts';
import { type EdgePointer, keepEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import { openEdge } from '../../internal/edge/edge.ts';
import type { Edge } from '../../internal/edge/options.ts';
import { describeError, PosternError } from '../../internal/errors/error.ts';
import { type PortRange, parsePortRange } from '../../internal/features/public-ports/port-range.ts';
import { formatHostPort } from '../../internal/net/address/host-port.ts';
import type { OnRampSettings } from '../../internal/on-ramps/on-ramps.ts';
import { openNotifier, type ServiceNotifier } from '../../internal/service/notify.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { openLogger } from '../logging.ts';
import { openTracer } from '../open-tracer.ts';
import { parseListen } from '../parse-listen.ts';
import { reapOrphans } from '../reap-orphans.ts';
import { resolvePath } from '../resolve-path.ts';
import { version } from '../version-line.ts';
import { readAcmeFlags } from './acme-settings.ts';
import { edgeFlags } from './edge-flags.ts';
import { parseOnRamps } from './on-ramp-settings.ts';
import { resolveStore } from './store-flags.ts';

export const command = defineCommand({
  description:
    'Runs an edge: connectors dial it, visitors reach the tunnels of those connectors through it. State (certificate ' +
    'authority, tunnels, routes) is kept in the state directory. Without --domain it serves *.localhost to this machine only.',
  inheritedHelp: true,
  usualFlags: [
    ...['domain', 'state-dir', 'host', 'http-port', 'https-port', 'connector-port', 'api', 'name', 'cert', 'key'],
    ...['quick-tunnels', 'public-ports', 'socks', 'http-proxy', 'dns', 'metrics', 'grace-period', 'loglevel'],
  ],
  flags: edgeFlags,
  examples: [
    ['postern edge run', 'An edge for this machine: http://<name>.localhost:8080'],
    ['postern edge run --domain example.com --http-port 80 --https-port 443', 'An edge for the world'],
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const domain = flags.domain.toLowerCase().replace(/\.$/, '');
    if (!/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(domain)) {
      throw new PosternError(
        'usage.invalid',
        `--domain ${JSON.stringify(flags.domain)} is not a domain; give one such as example.com.`,
      );
    }
    const isLocal = domain === 'localhost';
    const publicHost = flags.host ?? (isLocal ? '127.0.0.1' : '::');
    const connectorHost = flags.connectorHost ?? publicHost;
    const stateDir = resolvePath(flags.stateDir, context);
    const file = (path: string | undefined): string | undefined =>
      path === undefined ? undefined : resolvePath(path, context);
    const { values: logSettings } = resolveFlags(logFlags, { given: invocation.given, env: context.env });
    await using log = await openLogger(context, logSettings);
    const { logger } = log;
    const { env, platform, pid } = context;
    reapOrphans(context);
    using notifier = await openNotifier({ env, platform, pid, logger });
    const onRamps = parseOnRamps(flags);
    const inArguments = invocation.sources.store === 'flag';
    const store =
      flags.store === undefined || flags.store === ''
        ? undefined
        : resolveStore(flags.store, { inArguments, passwordFile: flags.storePasswordFile }, context);
    await using edge = await openEdge({
      stateDir,
      store,
      domain,
      connectors: { host: connectorHost, port: portOf('connector-port', flags.connectorPort) ?? 0 },
      api: parseListen(flags.api, 'api'),
      publicHost,
      httpPort: portOf('http-port', flags.httpPort),
      httpsPort: portOf('https-port', flags.httpsPort),
      names: flags.name.length > 0 ? flags.name : [isLocal ? dialledHost(connectorHost) : domain],
      certFile: file(flags.cert),
      keyFile: file(flags.key),
      caFile: file(flags.ca),
      acme: await readAcmeFlags(flags, context),
      errorPageFile: file(flags.errorPage),
      quickTunnels: flags.quickTunnels,
      managementHost: flags.managementHost === '' ? undefined : flags.managementHost,
      publicPorts: flags.publicPorts.map(parsePublicPorts),
      location: flags.location ?? hostname().split('.')[0] ?? 'edge',
      gracePeriodMs: flags.gracePeriodMs,
      answerTimeoutMs: flags.answerTimeoutMs,
      onRamps,
      metrics: flags.metrics === undefined ? undefined : parseListen(flags.metrics, 'metrics'),
      version,
      logger,
      tracer: await openTracer('postern-edge', logger, context),
    });
    const { apiUrl, quickServiceUrl } = edge;
    const pointer = { apiUrl, quickServiceUrl, stateDir, pid: context.pid };
    using pointers = new DisposableStack();
    await keepPointers([stateDir, join(context.homeDir, '.postern')], pointer, pointers, logger);
    const stopped = untilStopped(context, logger);
    context.onSignal('SIGHUP', () => void reload(edge, notifier, logger));
    // Last: who reads that the edge is ready may run a command at once.
    announceOnRamps(edge, onRamps, logger);
    announce(edge, publicHost, logger);
    notifier.ready(`Serving ${domain}`);
    if (flags.quickTunnels)
      logger.info('To publish a service of this machine: postern tunnel --url http://localhost:3000');
    await stopped;
    notifier.stopping('Waiting for running requests to end', flags.gracePeriodMs);
    // An edge that takes this one's place may be found from now on.
    pointers.dispose();
    await edge.stop();
    logger.info('Edge stopped');
  },
});

/** Throws 'usage.invalid'. */
function parsePublicPorts(text: string): PortRange {
  const range = parsePortRange(text);
  if (range !== undefined) return range;
  throw new PosternError(
    'usage.invalid',
    `--public-ports ${JSON.stringify(text)} is no range of ports; give one such as 5000-5999.`,
  );
}

/** What connectors of this machine dial when an edge listens on `host`. */
function dialledHost(host: string): string {
  return host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host;
}

/** They spare commands a flag: an edge runs without them. */
async function keepPointers(
  directories: readonly string[],
  pointer: EdgePointer,
  pointers: DisposableStack,
  logger: Logger,
): Promise<void> {
  const holders = new Map<string, EdgePointer>();
  for (const directory of directories) {
    try {
      const { holder } = pointers.use(await keepEdgePointer(directory, pointer));
      if (holder !== undefined) holders.set(holder.apiUrl, holder);
    } catch (error) {
      logger.warn({ error: describeError(error) }, 'Commands will not find this edge by themselves');
    }
  }
  for (const { apiUrl, stateDir } of holders.values()) {
    const shared =
      'Another edge runs on this state directory: they share tunnels and routes, and commands reach that one';
    const other = `Commands reach the edge that was here first; POSTERN_STATE_DIR=${pointer.stateDir} names this one`;
    logger.warn({ api: apiUrl, stateDir }, stateDir === pointer.stateDir ? shared : other);
  }
}

async function reload(edge: Edge, notifier: ServiceNotifier, logger: Logger): Promise<void> {
  notifier.reloading();
  try {
    await edge.reload();
    logger.info('Certificates and the error page were read again due to SIGHUP');
  } catch (error) {
    logger.warn(
      { error: describeError(error) },
      'The certificates and the error page were not reloaded, the present ones stay',
    );
  }
  notifier.reloaded();
}

/** -1 switches a listener off. Throws 'usage.invalid'. */
function portOf(name: string, port: number): number | undefined {
  if (port === -1) return undefined;
  if (port >= 0 && port <= 65_535) return port;
  throw new PosternError(
    'usage.invalid',
    `--${name} ${port} is not a port; give 0 to 65535, or -1 for no such listener.`,
  );
}

function announce(edge: Edge, publicHost: string, logger: Logger): void {
  const addressOf = (port: number): string => formatHostPort(publicHost, port);
  logger.info({ address: addressOf(edge.connectorPort) }, 'Listening for connectors');
  if (edge.httpPort !== undefined) logger.info({ address: addressOf(edge.httpPort) }, 'Listening for HTTP visitors');
  if (edge.httpsPort !== undefined) logger.info({ address: addressOf(edge.httpsPort) }, 'Listening for HTTPS visitors');
  logger.info({ url: edge.apiUrl }, 'Listening for API calls');
  if (edge.challengeDnsPort !== undefined)
    logger.info({ port: edge.challengeDnsPort }, 'Answering as the name server of _acme-challenge');
  if (edge.metrics !== undefined)
    logger.info({ address: formatHostPort(edge.metrics.host, edge.metrics.port) }, 'Serving metrics');
  logger.info('Edge ready');
}

function announceOnRamps({ privateServices }: Edge, { socks, httpProxy, dns }: OnRampSettings, logger: Logger): void {
  const { socksPort, httpProxyPort, dnsPorts } = privateServices;
  if (socksPort !== undefined) logger.info({ address: `${socks?.host}:${socksPort}` }, 'Listening for SOCKS5');
  if (httpProxyPort !== undefined)
    logger.info({ address: `${httpProxy?.host}:${httpProxyPort}` }, 'Listening for HTTP proxy clients');
  for (const [index, port] of dnsPorts.entries())
    logger.info({ address: `${dns[index]?.host}:${port}`, vnet: dns[index]?.vnet }, 'Listening for DNS');
}

/** Settles at the first SIGINT or SIGTERM; a second one ends the process at once. */
function untilStopped(context: CommandContext, logger: Logger): Promise<void> {
  return new Promise(resolve => {
    let signals = 0;
    const stop = (name: string, code: number): void => {
      signals += 1;
      if (signals > 1) {
        context.exitNow(128 + code);
        return;
      }
      logger.info(`Initiating graceful shutdown due to ${name} ...`);
      resolve();
    };
    context.onSignal('SIGINT', () => stop('SIGINT', 2));
    context.onSignal('SIGTERM', () => stop('SIGTERM', 15));
  });
}
