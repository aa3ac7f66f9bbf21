// Several tunnels in one process: each with its own connections, credentials and log lines, one metrics server for all. One that
// cannot go on ends alone.

import type { ConfigFile } from '../../internal/config/file/config-file.ts';
import type { GivenFlags } from '../../internal/config/resolve-flags.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { openSharedHealth } from '../../internal/connector/shared-health.ts';
import type { TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { errorFields, PosternError } from '../../internal/errors/error.ts';
import { openNotifier } from '../../internal/service/notify.ts';
import type { CommandContext } from '../context.ts';
import type { OpenLogger } from '../logging.ts';
import { parseListen } from '../parse-listen.ts';
import { version } from '../version-line.ts';
import { PidFile } from './pid-file.ts';
import { runTunnel, type SharedProcess } from './run-tunnel.ts';
import { type TunnelInputs, tunnelInputs } from './tunnel-inputs.ts';

export interface RunManyInputs {
  readonly settings: TunnelSettings;
  /** Texts of the command line, for reloads. */
  readonly given: GivenFlags;
  readonly file: ConfigFile | undefined;
  /** Ids or names, or names of the file's list; two at least. */
  readonly names: readonly string[];
  readonly credentialsOf: (tunnel: TunnelInputs) => Promise<TunnelToken>;
  readonly log: OpenLogger;
}

/** Settings that are about one tunnel, or about one file that only one can write. */
const singleSettings = ['token', 'token-file', 'credentials-file', 'credentials-contents', 'access-log'] as const;

/** Resolves to the exit code when all have ended; rejects with the first one's error when none of them could run. */
export async function runTunnels(inputs: RunManyInputs, context: CommandContext): Promise<number> {
  const { credentialsOf, given, log, settings } = inputs;
  const names = [...new Set(inputs.names)];
  const single = singleSettings.filter(name => settings.sources[name] !== undefined);
  if (single.length > 0) {
    const list = single.map(name => `--${name}`).join(' and ');
    throw new PosternError(
      'usage.invalid',
      `${list} is for one tunnel, and ${names.length} are named; write it into that tunnel's entry of tunnels in the config file`,
    );
  }
  const { env, pid, platform } = context;
  using notifier = await openNotifier({ env, pid, platform, logger: log.logger });
  notifier.status(`Connecting ${names.length} tunnels to the edge`);
  const listen = settings.sources.metrics === undefined ? undefined : parseListen(settings.metrics, 'metrics');
  await using health = await openSharedHealth({ listen, version, logger: log.logger });
  await using pidFile = new PidFile(settings.pidfile, context, log.logger);
  // The service manager hears of the process as a whole.
  const { NOTIFY_SOCKET: _socket, ...others } = env;
  const ownContext = { ...context, env: others };
  const running = new Map<string, string>();
  const runOne = async (name: string, index: number): Promise<number> => {
    const own = log.forTunnel({ tunnel: name });
    const shared: SharedProcess = {
      health,
      watchesUpdates: index === 0,
      claim: tunnelId => {
        const other = running.get(tunnelId);
        if (other !== undefined) {
          const text = `${name} and ${other} are one tunnel, ${tunnelId}: name it once; for more connections raise --ha-connections`;
          throw new PosternError('usage.invalid', text);
        }
        running.set(tunnelId, name);
      },
    };
    const onReady = (): void => {
      pidFile.write();
      notifier.ready(`Tunnel ${name} is connected`);
    };
    try {
      const tunnel = tunnelInputs(name, inputs, context);
      const credentials = await credentialsOf(tunnel);
      const { haConnections } = tunnel.settings;
      const options = { ...tunnel, given, credentials, quickTunnelHost: '', haConnections, log: own, shared, onReady };
      return await runTunnel(options, ownContext);
    } catch (error) {
      own.logger.error(errorFields(error), `Tunnel ${name} has ended; the others go on`);
      throw error;
    }
  };
  const ends = await Promise.allSettled(names.map(runOne));
  const codes = ends.flatMap(end => (end.status === 'fulfilled' ? [end.value] : []));
  const [failed] = ends.filter(end => end.status === 'rejected');
  if (codes.length === 0 && failed !== undefined) throw failed.reason;
  return Math.max(0, ...codes);
}
