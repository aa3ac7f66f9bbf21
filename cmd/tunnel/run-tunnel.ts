// Runs one tunnel in the foreground of a command until it is told to stop: signals, pid file, reload. Shared by
// `tunnel run` and quick tunnels. Source: docs/protocol/commands-and-api.md §4, §16; docs/protocol/edge-protocol.md §11.

import type { ConfigFile } from '../../internal/config/file/config-file.ts';
import { localIngress, noRulesWarning } from '../../internal/config/file/local-ingress.ts';
import { type ConfigWatcher, watchConfigFile } from '../../internal/config/file/watch.ts';
import { parseAllowedDestinations, parseResolverAddresses, parseTags } from '../../internal/config/list-values.ts';
import type { GivenFlags } from '../../internal/config/resolve-flags.ts';
import {
  describeOpenSettings,
  describeSettings,
  inertSettings,
  type TunnelSettings,
} from '../../internal/config/tunnel-settings.ts';
import { RolloutWatch } from '../../internal/connector/configuration/rollout-watch.ts';
import type { SharedHealth } from '../../internal/connector/shared-health.ts';
import {
  openTunnel,
  type PrivateNetworkOptions,
  type Tunnel,
  type TunnelOptions,
} from '../../internal/connector/tunnel.ts';
import type { TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { createDns } from '../../internal/discovery/dns.ts';
import { errorFields, isPosternError } from '../../internal/errors/error.ts';
import { systemClock } from '../../internal/net/time/clock.ts';
import { openAccessLog } from '../../internal/proxy/access-log.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import type { IngressConfig } from '../../internal/schema/ingress-rule.ts';
import { openNotifier, type ServiceNotifier } from '../../internal/service/notify.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import { dialTransport } from '../../internal/transport/open/dial.ts';
import type { CommandContext, SignalName } from '../context.ts';
import { logFormat, type TunnelLog, transportLogger } from '../logging.ts';
import { openTracer } from '../open-tracer.ts';
import { parseListen } from '../parse-listen.ts';
import { reapOrphans } from '../reap-orphans.ts';
import { resolvePath } from '../resolve-path.ts';
import { updateSource } from '../update/own-build.ts';
import { runtimeLine, version } from '../version-line.ts';
import { checkBeside, checkWay } from './check-beside.ts';
import { openControl } from './control.ts';
import { proxiesOfEnvironment } from './edge-proxy.ts';
import { resolveEdgeSettings } from './edge-settings.ts';
import { LiveSettings } from './live-settings.ts';
import { PidFile } from './pid-file.ts';
import { chosenProtocol, createPolicy, proxiedPolicy } from './protocol-choice.ts';
import { settleMemory } from './settle-memory.ts';
import { warnUnheard } from './warn-unheard.ts';

export interface RunTunnelInputs {
  readonly settings: TunnelSettings;
  /** Of the command line; for reloads. */
  readonly given?: GivenFlags | undefined;
  readonly file: ConfigFile | undefined;
  readonly credentials: TunnelToken;
  /** '' for other tunnels. */
  readonly quickTunnelHost: string;
  readonly haConnections: number;
  readonly log: TunnelLog;
  /** Its name in the config file's list, whose entry counts when the file is read again. */
  readonly entry?: string | undefined;
  /** Undefined when it is the only tunnel of this process. */
  readonly shared?: SharedProcess | undefined;
  /** Called once the first connection has registered. */
  readonly onReady?: (() => void) | undefined;
}

/** What tunnels of one process have in common. */
export interface SharedProcess {
  /** Shows it together with the others. */
  readonly health: SharedHealth;
  /** Whether this one looks for updates, for all. */
  readonly watchesUpdates: boolean;
  /** Takes the tunnel's place among those that run; throws 'usage.invalid' when the same tunnel runs already. */
  readonly claim: (tunnelId: string) => void;
}

/** Signal numbers for the exit code of a second signal. */
const signalNumbers: Readonly<Partial<Record<SignalName, number>>> = { SIGINT: 2, SIGTERM: 15 };
const signalWords: Readonly<Partial<Record<SignalName, string>>> = { SIGINT: 'interrupt', SIGTERM: 'terminated' };

/** The service is to start the program again, which has been updated; docs/protocol/commands-and-api.md §1. */
const updatedCode = 11;

/** Resolves to the exit code after an orderly stop; rejects with what made going on impossible. */
export async function runTunnel(inputs: RunTunnelInputs, context: CommandContext): Promise<number> {
  const { credentials, entry, file, settings, shared } = inputs;
  const { logger } = inputs.log;
  shared?.claim(credentials.tunnelId);
  logger.info({ tunnelID: credentials.tunnelId }, 'Starting tunnel');
  logger.info(`Version ${version}`);
  logger.info(runtimeLine());
  logger.info(`Settings: ${JSON.stringify(describeSettings(settings))}`);
  for (const warning of file?.warnings ?? []) logger.warn(warning);
  for (const name of inertSettings(settings, context.env)) logger.warn(`${name} has no effect in Postern`);
  const { env, platform, pid } = context;
  reapOrphans(context);
  using notifier = await openNotifier({ env, platform, pid, logger });
  notifier.status('Connecting to the edge');
  const options = await tunnelOptions(inputs, context);
  const tunnel = await openTunnel(options);
  const hide = shared?.health.add(credentials.tunnelId, tunnel);
  const { given = {} } = inputs;
  const { tunnelId } = credentials;
  const { transportLogger: aboutEdge = logger } = options;
  const live = new LiveSettings({
    ...{ tunnel, tunnelId, settings, given, file, entry, logger, context },
    transportLogger: aboutEdge,
  });
  await using _control = await openControl({ context, logger }, question => live.answer(question));
  const watcher = file === undefined ? undefined : await watchFile(file.path, live, notifier, logger);
  const { stop, off: endSignals } = handleSignals(tunnel, live, watcher, notifier, logger, context);
  let updatedTo: string | undefined;
  const endUpdates = await watchUpdates(inputs, context, to => {
    updatedTo = to;
    stop(`due to the update to ${to}`);
  });
  await using pidFile = new PidFile(shared === undefined ? settings.pidfile : undefined, context, logger);
  tunnel.connector.once('connected', () => {
    pidFile.write();
    notifier.ready(connectionText(1));
    inputs.onReady?.();
  });
  tunnel.connector.on('ready', count => notifier.status(connectionText(count)));
  const endSettling = settleMemory(tunnel);
  const endChecks = settings.noPrechecks
    ? undefined
    : checkBeside(tunnel, options, {
        json: logFormat(settings, context) === 'json',
        protocol: chosenProtocol(settings),
      });
  try {
    await tunnel.run();
    logger.info('Tunnel server stopped');
    if (updatedTo === undefined) return 0;
    // A manager that starts nothing again asks for this.
    if (context.env.POSTERN_RESTART === 'exec') context.runAgain();
    return updatedCode;
  } catch (error) {
    logger.error(errorFields(error), 'Initiating shutdown');
    throw error;
  } finally {
    hide?.();
    endChecks?.();
    endUpdates();
    endSettling();
    endSignals();
    await watcher?.close();
  }
}

/** A quick tunnel would have another name afterwards: it is never restarted. */
async function watchUpdates(
  { settings, log: { logger }, quickTunnelHost, shared }: RunTunnelInputs,
  context: CommandContext,
  onUpdated: (version: string) => void,
): Promise<() => void> {
  const watches = shared?.watchesUpdates ?? true;
  if (quickTunnelHost !== '' || updateSource === undefined || !watches) return () => undefined;
  const { watchForUpdates } = await import('./auto-update.ts');
  return watchForUpdates({ settings, logger, onUpdated }, context);
}

function connectionText(count: number): string {
  if (count === 0) return 'No connection to the edge, trying again';
  return `${count} ${count === 1 ? 'connection' : 'connections'} to the edge`;
}

async function tunnelOptions(inputs: RunTunnelInputs, context: CommandContext): Promise<TunnelOptions> {
  const { credentials, file, log, settings } = inputs;
  const { logger } = log;
  const local = localIngress(settings, file);
  if (local.source === 'none') logger.warn(noRulesWarning);
  if (local.source === 'file' && settings.sources.url !== undefined && settings.sources.url !== 'file') {
    logger.warn(`The ingress rules of ${file?.path} are served, not --url ${settings.url}`);
  }
  // Not waited for: the connector starts meanwhile.
  if (local.source === 'flags') void warnUnheard(local.config.rules[0]?.service, logger);
  logHosts(local.config, logger);
  const edge = await resolveEdgeSettings(settings, credentials, context, logger);
  const { accountTag } = credentials;
  // Only Cloudflare's network publishes what it wants of an account.
  const rollout =
    edge.addresses.length > 0 || edge.proxy !== undefined
      ? undefined
      : new RolloutWatch({ dns: createDns(), accountTag, clock: systemClock, logger });
  const policy =
    edge.proxy === undefined ? createPolicy(settings, rollout, logger) : proxiedPolicy(settings, edge.proxy, logger);
  logger.info(`Initial protocol ${policy.next(0).first}`);
  return {
    accountTag,
    tunnelId: credentials.tunnelId,
    tunnelSecret: credentials.secret,
    edge,
    ingress: local.config,
    shownFlags: shownFlags(settings),
    policy,
    haConnections: inputs.haConnections,
    retries: settings.retries,
    gracePeriodMs: settings.gracePeriodMs,
    rpcTimeoutMs: settings.rpcTimeoutMs,
    writeStreamTimeoutMs: settings.writeStreamTimeoutMs,
    postQuantum: settings.postQuantum,
    features: settings.features,
    tags: parseTags(settings.tag),
    maxActiveFlows: settings.maxActiveFlows,
    privateNetwork: privateNetworkOptions(settings, inputs.quickTunnelHost !== ''),
    outboundProxy: proxiesOfEnvironment(context.env),
    rollout,
    metrics: inputs.shared === undefined ? metricsAddress(settings) : undefined,
    diagnostics: settings.managementDiagnostics
      ? {
          settings: diagnosedSettings(settings, context),
          checkEdge: () => checkWay(edge, chosenProtocol(settings), logger),
        }
      : undefined,
    quickTunnelHost: inputs.quickTunnelHost,
    version,
    accessLog:
      settings.accessLog === undefined || settings.accessLog === ''
        ? undefined
        : await openAccessLog(resolvePath(settings.accessLog, context), { logger }),
    tracer: await openTracer('postern-connector', logger, context),
    dial: dialTransport,
    logger,
    remote: {
      host: settings.managementHostname,
      label: settings.label,
      diagnostics: settings.managementDiagnostics,
      tap: log.tap,
    },
    transportLogger: transportLogger(settings, log),
  };
}

function metricsAddress({ metrics, sources }: TunnelSettings): TunnelOptions['metrics'] {
  return sources.metrics === undefined ? 'default' : parseListen(metrics, 'metrics');
}

function privateNetworkOptions(settings: TunnelSettings, isQuick: boolean): PrivateNetworkOptions {
  const text = (value: string | undefined): string | undefined => (value === '' ? undefined : value);
  return {
    allowedDestinations: parseAllowedDestinations(settings.allowDestination),
    resolvers: parseResolverAddresses(settings.dnsResolverAddrs),
    // A quick tunnel publishes one service; it leads into no network.
    echo: isQuick ? undefined : { v4: text(settings.icmpv4Src), v6: text(settings.icmpv6Src) },
  };
}

/** As many are named in one line. */
const maxShownHosts = 10;

/** What to type into a browser, as far as the rules tell. */
function logHosts({ rules }: IngressConfig, logger: Logger): void {
  const hosts = [...new Set(rules.map(({ hostname }) => hostname).filter(host => host !== '' && host !== '*'))];
  if (hosts.length === 0) return;
  const more = hosts.length > maxShownHosts ? ` and ${hosts.length - maxShownHosts} more` : '';
  logger.info(`Serving ${hosts.slice(0, maxShownHosts).join(', ')}${more}`);
}

/** What the edge is told of the flags; docs/protocol/edge-protocol.md §8.4 lists the names. */
const shownNames = new Set([
  'autoupdate-freq',
  'no-autoupdate',
  'retries',
  'protocol',
  'loglevel',
  'transport-loglevel',
  'origincert',
  'metrics',
  'edge-ip-version',
  'edge-bind-address',
  'max-active-flows',
]);

function shownFlags(settings: TunnelSettings): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(describeSettings(settings)).filter(([name]) => shownNames.has(name)));
}

/** What `tunnel diag` is told: where the log is must mean the same wherever that runs. */
function diagnosedSettings(settings: TunnelSettings, context: CommandContext): Readonly<Record<string, string>> {
  const texts = describeOpenSettings(settings);
  const paths = Object.entries(texts).filter(([name]) => name === 'logfile' || name === 'log-directory');
  return { ...texts, ...Object.fromEntries(paths.map(([name, path]) => [name, resolvePath(path, context)])) };
}

/** The first SIGINT or SIGTERM stops in order, a second one at once; SIGHUP reloads. `off` undoes it, `stop` is the first one. */
function handleSignals(
  tunnel: Tunnel,
  live: Pick<LiveSettings, 'gracePeriodMs'>,
  watcher: ConfigWatcher | undefined,
  notifier: ServiceNotifier,
  logger: Logger,
  context: CommandContext,
): { readonly stop: (reason: string) => void; readonly off: () => void } {
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info(`Initiating graceful shutdown ${reason} ...`);
    const { gracePeriodMs } = live;
    const waiting = tunnel.metrics.concurrentRequests;
    const what = waiting === 1 ? 'one request' : `${waiting} requests`;
    notifier.stopping(waiting > 0 ? `Waiting for ${what} to end` : 'Stopping', gracePeriodMs);
    if (waiting > 0) {
      logger.info(`Waiting for ${what} to end, up to ${formatDuration(gracePeriodMs)}; a second signal ends them now`);
    }
    void tunnel.stop(gracePeriodMs);
  };
  const onSignal = (name: SignalName) => (): void => {
    if (stopping) context.exitNow(128 + (signalNumbers[name] ?? 0));
    else stop(`due to signal ${signalWords[name] ?? name}`);
  };
  const off = [context.onSignal('SIGINT', onSignal('SIGINT')), context.onSignal('SIGTERM', onSignal('SIGTERM'))];
  if (watcher !== undefined) {
    const reload = (): void => {
      notifier.reloading();
      watcher.reload();
    };
    off.push(context.onSignal('SIGHUP', reload));
  }
  return {
    stop,
    off: () => {
      for (const undo of off) undo();
    },
  };
}

/** Takes a changed config file into use; the present configuration stays when the new one is invalid. */
function watchFile(
  path: string,
  live: LiveSettings,
  notifier: ServiceNotifier,
  logger: Logger,
): Promise<ConfigWatcher> {
  const refused = (error: unknown): void => {
    notifier.reloaded();
    logger.error(errorFields(error), 'The configuration was not reloaded, the present one stays');
  };
  return watchConfigFile({
    path,
    onChange: async changed => {
      try {
        await live.take(changed);
      } catch (error) {
        if (!isPosternError(error)) throw error;
        refused(error);
        return;
      }
      notifier.reloaded();
    },
    onError: refused,
  });
}
