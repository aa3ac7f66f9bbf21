// `tunnel diag`: asks a running connector, ours or cloudflared's, for what a diagnosis needs, adds its log and the way to the
// edge, and writes all into one file. Exit code 0 also when something could not be had: the file says what; 1, and no file, when
// no connector answers or several do. Source: docs/protocol/commands-and-api.md §18.

import { matching } from '../../../internal/config/flag-checks.ts';
import { describeError, isPosternError, PosternError } from '../../../internal/errors/error.ts';
import { localUrl } from '../../../internal/management/ask-health.ts';
import { defaultPorts } from '../../../internal/management/health-server.ts';
import type { LocalAddress } from '../../../internal/management/local-server.ts';
import type { Logger } from '../../../internal/telemetry/logger.ts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { openLogger } from '../../logging.ts';
import { parseListen } from '../../parse-listen.ts';
import { checkWay } from '../check-beside.ts';
import { resolveEdgeSettings } from '../edge-settings.ts';
import { type LoadedSettings, loadSettings } from '../settings.ts';
import { Bundle } from './bundle.ts';
import { collectLog } from './collect-log.ts';
import { ask, type FoundInstance, findInstances, requireAnswer } from './instance.ts';
import { rawText, requireTraces, traceNetwork } from './trace-network.ts';

/** Of the whole diagnosis; docs/protocol/commands-and-api.md §18. */
const totalMs = 45_000;
/** Of a log the last so much is taken: hours at level debug. */
const maxLogBytes = 16 * 1024 * 1024;
const cpuSeconds = 5;

/** They become arguments of docker and kubectl. */
const idCheck = matching(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,252}$/, 'is not the name or id of a container or pod');

export const command = defineCommand({
  description:
    'Gathers what a diagnosis of a running connector needs: its state, settings, metrics, profiles and log, this machine, and the ' +
    'way to the edge. Writes postern-diag-TIME.zip into this directory. Secrets are taken out. The connector is found on the usual ' +
    'ports of this machine, or at --metrics.',
  flags: [
    {
      name: 'diag-container-id',
      type: 'string',
      valueName: 'ID',
      check: idCheck,
      description: 'Take the log from this container, by docker; with --diag-pod-id, from this one of the pod',
    },
    {
      name: 'diag-pod-id',
      type: 'string',
      valueName: 'NAME',
      check: idCheck,
      description: 'Take the log from this pod, by kubectl',
    },
    { name: 'no-diag-logs', type: 'boolean', description: 'Leave the log out' },
    { name: 'no-diag-metrics', type: 'boolean', description: 'Leave the metrics out' },
    { name: 'no-diag-system', type: 'boolean', description: 'Leave facts about the machine out' },
    { name: 'no-diag-runtime', type: 'boolean', description: 'Leave profiles of CPU, memory and activity out' },
    {
      name: 'no-diag-network',
      type: 'boolean',
      description: 'Leave traceroutes and checks of the way to the edge out',
    },
  ],
  examples: [
    ['postern tunnel diag', 'The connector of this machine'],
    ['postern tunnel --metrics 127.0.0.1:20242 diag --no-diag-logs', 'One of several, without its log'],
    ['postern tunnel diag --diag-container-id web', 'One in a container whose metrics port is forwarded'],
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const loaded = await loadSettings(invocation, context);
    await using log = await openLogger(context, loaded.settings);
    const { logger } = log;
    const signal = AbortSignal.timeout(totalMs);
    const address = await chooseInstance(loaded, signal, logger);
    logger.info(`Selected server ${localUrl(address)} starting diagnostic...`);
    const program = { env: context.env, signal, maxBytes: maxLogBytes };
    const bundle = new Bundle(logger);
    const fetchJson = async (path: string): Promise<unknown> =>
      JSON.parse((await ask(address, path, signal)).toString());
    const fetchFile = async (path: string, name: string): Promise<void> =>
      bundle.addBytes(name, await ask(address, path, signal));

    let state: unknown;
    let configuration: unknown;
    await bundle.run('tunnel state', async () => {
      state = await fetchJson('/diag/tunnel');
      bundle.addJson('tunnelstate.json', state);
    });
    await bundle.run('cli configuration', async () => {
      configuration = await fetchJson('/diag/configuration');
      bundle.addJson('cli-configuration.json', configuration);
    });
    // Takes longest, and nothing from the connector.
    const traces = flags.noDiagNetwork ? Promise.resolve([]) : traceNetwork(configuration, state, program);
    if (!flags.noDiagSystem) {
      await bundle.run('system information', async () =>
        bundle.addJson('systeminformation.json', await fetchJson('/diag/system')),
      );
    }
    if (!flags.noDiagRuntime) {
      await bundle.run('goroutine profile', () => fetchFile('/debug/pprof/goroutine', 'goroutine.pprof'));
      await bundle.run('heap profile', () => fetchFile('/debug/pprof/heap', 'heap.pprof'));
      await bundle.run('cpu profile', () => fetchFile(`/debug/pprof/profile?seconds=${cpuSeconds}`, 'cpu.pprof'));
    }
    if (!flags.noDiagMetrics) {
      await bundle.run('metrics', async () =>
        bundle.addText('metrics.txt', (await ask(address, '/metrics', signal)).toString()),
      );
    }
    if (!flags.noDiagLogs) {
      await bundle.run('log information', async () => {
        const { diagContainerId: container, diagPodId: pod } = flags;
        const place = { address, container, pod, configuration, platform: context.platform };
        bundle.addText('cloudflared_logs.txt', await collectLog(place, program));
      });
    }
    if (!flags.noDiagNetwork) {
      await bundle.run('raw network information', async () => {
        bundle.addText('raw-network.txt', rawText(await traces));
        requireTraces(await traces);
      });
      await bundle.run('network information', async () => {
        const hops = (await traces).map(({ error, hops, name }) => [name, error === undefined ? hops : null]);
        bundle.addJson('network.json', Object.fromEntries(hops));
        requireTraces(await traces);
      });
    }
    await bundle.run('configuration', async () => bundle.addJson('configuration.json', await fetchJson('/config')));
    if (!flags.noDiagNetwork) {
      await bundle.run('connectivity pre-checks', async () => {
        const report = await fetchJson('/diag/prechecks').catch(error => checkFromHere(error, loaded, context, logger));
        bundle.addJson('prechecks.json', report);
      });
    }
    logger.info(`Diagnostic file written: ${await bundle.write(context.cwd, new Date())}`);
    if (bundle.failed) logger.warn('Diagnostic completed with one or more errors');
    else logger.info('Diagnostic completed');
  },
});

/** The connector that is meant. Throws 'health.failed' when there is none, or several. */
async function chooseInstance(
  { settings }: LoadedSettings,
  signal: AbortSignal,
  logger: Logger,
): Promise<LocalAddress> {
  const named = settings.sources.metrics === undefined ? undefined : parseListen(settings.metrics, 'metrics');
  if (named !== undefined && named.port !== 0) {
    await requireAnswer(named, signal);
    return named;
  }
  const hint = 'If your instance is running in a Docker/Kubernetes environment you need to setup port forwarding for';
  logger.info(`${hint} your application.`);
  const found = await findInstances(signal);
  const [only] = found;
  if (only === undefined) {
    const ports = `${defaultPorts[0]} to ${defaultPorts.at(-2)}`;
    const text = `No instances found: no connector answers on ports ${ports} of this machine; name its address with --metrics`;
    throw new PosternError('health.failed', text);
  }
  if (found.length === 1) {
    if (only.tunnels.length > 1) logger.info(`One process runs ${only.tunnels.length} tunnels:`);
    if (only.tunnels.length > 1) listInstance(only, logger);
    return only.address;
  }
  logger.info('Found multiple instances running:');
  for (const instance of found) listInstance(instance, logger);
  throw new PosternError(
    'health.failed',
    `${found.length} connectors run here, and none was chosen: to select one instance use the option --metrics`,
  );
}

function listInstance({ address, tunnels }: FoundInstance, logger: Logger): void {
  for (const { connectorId, tunnelId } of tunnels) {
    const where = `metrics-address=${localUrl(address)}`;
    logger.info(`Instance: tunnel-id=${tunnelId} connector-id=${connectorId} ${where}`);
  }
}

/** A connector of another make does not check for others: then this program checks what its own settings name. */
async function checkFromHere(
  error: unknown,
  { settings }: LoadedSettings,
  context: CommandContext,
  logger: Logger,
): Promise<unknown> {
  if (!isPosternError(error, 'health.failed')) throw error;
  try {
    return await checkWay(await resolveEdgeSettings(settings, {}, context, logger), undefined, logger);
  } catch (cause) {
    throw new PosternError('health.failed', `${describeError(error)}; and not from here either`, { cause });
  }
}
