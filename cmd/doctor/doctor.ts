// `doctor [TUNNEL]`: checks config file, credentials, this machine and the way to the edge, all at once. Exit codes: 0 when a
// tunnel can run, 1 when not. Source: docs/protocol/edge-protocol.md §13.3.

import { runFlags } from '../../internal/config/run-flags.ts';
import { createTrust } from '../../internal/connector/edge-access.ts';
import { checkEdge } from '../../internal/connector/prechecks/edge-checks.ts';
import { checkReceiveBuffers } from '../../internal/connector/prechecks/machine-checks.ts';
import { type Check, concludeChecks, formatChecks } from '../../internal/connector/prechecks/report.ts';
import type { TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { describeError, isPosternError } from '../../internal/errors/error.ts';
import { systemClock } from '../../internal/net/time/clock.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand, type Invocation } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { openLogger } from '../logging.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { askByNameOnce } from '../tunnel/ask-by-name.ts';
import { resolveEdgeSettings } from '../tunnel/edge-settings.ts';
import { resolveRunCredentials } from '../tunnel/run-credentials.ts';
import { configPath, type LoadedSettings, loadSettings } from '../tunnel/settings.ts';
import { type TunnelInputs, tunnelInputs } from '../tunnel/tunnel-inputs.ts';

export const command = defineCommand({
  description:
    'Checks what `postern tunnel run` needs: config file, credentials, names, UDP and TCP to the edge, TLS and trust, the clock, ' +
    'the path MTU, and the system’s buffers. Takes the flags of `tunnel run`. Exits with 1 when no tunnel can run.',
  positionals: [
    {
      name: 'TUNNEL',
      description: 'Id or name; default: what the config file names; not needed with a token',
      optional: true,
    },
  ],
  flags: [...runFlags, outputFlag],
  inheritedHelp: true,
  usualFlags: ['token-file', 'credentials-file', 'config', 'edge', 'region', 'edge-ip-version', 'cacert', 'output'],
  examples: [
    ['postern doctor --token-file /etc/postern/token', 'The way to the edge that the token names'],
    ['postern doctor home --output json', 'For programs'],
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const buffers = checkReceiveBuffers();
    const loaded = await loadChecked(invocation, context);
    const own = 'check' in loaded ? [loaded.check] : await checkOwn(loaded, invocation, context);
    const report = concludeChecks([...own, await buffers]);
    if (format === undefined)
      context.stdout.write(`${formatChecks(report, 'POSTERN DOCTOR').map(printableLine).join('\n')}\n`);
    else writeFormatted(context, format, report);
    return report.hardFail ? 1 : 0;
  },
});

const configComponent = 'Config File';
const credentialsComponent = 'Credentials';

type Given = Pick<Invocation, 'args' | 'given'>;
type Loaded = LoadedSettings & { readonly path: string | undefined };

/** The settings, or the check that failed: nothing else can be known then. */
async function loadChecked(invocation: Given, context: CommandContext): Promise<Loaded | { check: Check }> {
  const path = await configPath(invocation, context);
  try {
    return { ...(await loadSettings(invocation, context)), path };
  } catch (error) {
    if (!isPosternError(error, 'config.invalid') && !isPosternError(error, 'config.not-found')) throw error;
    const remedy = 'correct it; `postern tunnel ingress validate` lists every problem';
    return { check: failure(configComponent, path ?? 'settings', error, remedy) };
  }
}

async function checkOwn(loaded: Loaded, invocation: Given, context: CommandContext): Promise<readonly Check[]> {
  const { path, settings } = loaded;
  const config: Check =
    path === undefined
      ? {
          component: configComponent,
          target: '-',
          status: 'skip',
          details: 'none found; none is needed',
          isHard: false,
        }
      : { component: configComponent, target: path, status: 'pass', details: 'valid', isHard: false };
  const tunnels = tunnelsOf(loaded, invocation, context);
  const found = await Promise.all(tunnels.map(async one => ({ one, ...(await checkCredentials(one, context)) })));
  const checks = [config, ...found.map(({ check }) => check)];
  const usable = found.filter(({ credentials }) => credentials !== undefined);
  if (usable.length === 0 && settings.edge.length === 0) {
    const details = 'no edge is known: name the tunnel, its token, or --edge HOST:PORT';
    return [...checks, { component: 'DNS Resolution', target: '-', status: 'skip', details, isHard: false }];
  }
  // Faults of settings are thrown; the logger is for what is odd about them.
  await using log = await openLogger(context, settings);
  const ways = await Promise.all(
    (usable.length === 0 ? [{ one: { settings }, credentials: undefined }] : usable).map(({ one, credentials = {} }) =>
      resolveEdgeSettings(one.settings, credentials, context, log.logger),
    ),
  );
  // Tunnels of one edge share the way there.
  for (const edge of new Map(ways.map(way => [JSON.stringify(way), way])).values())
    checks.push(...(await checkEdge({ edge, trust: createTrust(edge, systemClock, log.logger) })));
  return checks;
}

/** What the command line names, else each tunnel that the config file names. */
function tunnelsOf(loaded: Loaded, { args, given }: Given, context: CommandContext): readonly TunnelInputs[] {
  const { file, settings } = loaded;
  const names = args.length > 0 ? args : (file?.tunnels?.map(({ name }) => name) ?? []);
  if (names.length === 0) return [{ settings, file, args }];
  return names.map(name => tunnelInputs(name, { settings, given, file }, context));
}

interface Credentials {
  readonly check: Check;
  readonly credentials: TunnelToken | undefined;
}

async function checkCredentials(
  { args, entry, file, settings }: TunnelInputs,
  context: CommandContext,
): Promise<Credentials> {
  const named = entry ?? args[0] ?? file?.tunnel;
  try {
    const findByName = (name: string) => askByNameOnce(name, settings, context);
    const credentials = await resolveRunCredentials({ settings, file, args, findByName }, context);
    const { tunnelId } = credentials;
    const target = named === undefined || named === '' ? tunnelId : named;
    const details = `readable, and only by their owner${target === tunnelId ? '' : `; tunnel ${tunnelId}`}`;
    return { check: { component: credentialsComponent, target, status: 'pass', details, isHard: false }, credentials };
  } catch (error) {
    const target = named ?? '-';
    if (isPosternError(error, 'usage.invalid') && target === '-' && !isGiven(settings)) {
      const details = 'none given';
      return {
        check: { component: credentialsComponent, target, status: 'skip', details, isHard: false },
        credentials: undefined,
      };
    }
    if (!isPosternError(error)) throw error;
    return { check: failure(credentialsComponent, target, error, error.kind.remedy), credentials: undefined };
  }
}

/** Whether a token or credentials were named that could not be used. */
function isGiven({ token, tokenFile, credentialsFile, credentialsContents }: Loaded['settings']): boolean {
  return [token, tokenFile, credentialsFile, credentialsContents].some(text => text !== undefined && text !== '');
}

function failure(component: string, target: string, error: unknown, remedy: string): Check {
  return { component, target, status: 'fail', details: describeError(error), remedy, isHard: true };
}
