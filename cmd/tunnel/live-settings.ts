// The settings of a connector that runs, and how it takes over changed ones: from its config file when that changes, on
// SIGHUP, and when `tunnel reload` asks. What cannot change while it runs is said, and waits for the next start.

import { type ConfigFile, fileOfTunnel, loadIngressFile } from '../../internal/config/file/config-file.ts';
import { type LocalIngress, localIngress } from '../../internal/config/file/local-ingress.ts';
import { settingKey } from '../../internal/config/flag.ts';
import { parseAllowedDestinations, parseTags } from '../../internal/config/list-values.ts';
import type { GivenFlags } from '../../internal/config/resolve-flags.ts';
import {
  resolveTunnelSettings,
  type TunnelSettings,
  tunnelSettingFlags,
} from '../../internal/config/tunnel-settings.ts';
import type { Tunnel } from '../../internal/connector/tunnel.ts';
import { describeError, isPosternError, PosternError } from '../../internal/errors/error.ts';
import { encodeFullIngressJson } from '../../internal/schema/encode-ingress.ts';
import { type Logger, setLogLevel } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';
import { levelNamed } from '../logging.ts';
import type { ConnectorStatus, ControlQuestion, ReloadOutcome } from './control.ts';
import { type Change, liveSettings, planReload } from './reload-plan.ts';

export interface LiveSettingsOptions {
  readonly tunnel: Tunnel;
  readonly tunnelId: string;
  readonly settings: TunnelSettings;
  /** Flags of the command line, which beat a changed file as they beat the first one. */
  readonly given: GivenFlags;
  /** As it is for this tunnel. */
  readonly file: ConfigFile | undefined;
  /** Name of the tunnel's entry in the file's list; undefined when it has none. */
  readonly entry: string | undefined;
  readonly logger: Logger;
  /** Of lines about connections to the edge. */
  readonly transportLogger: Logger;
  readonly context: CommandContext;
}

interface Plan {
  readonly settings: TunnelSettings;
  readonly local: LocalIngress;
  readonly changes: readonly Change[];
}

export class LiveSettings {
  readonly #options: LiveSettingsOptions;
  #settings: TunnelSettings;
  #local: LocalIngress;

  constructor(options: LiveSettingsOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#local = localIngress(options.settings, options.file);
  }

  /** How long running requests may go on when the connector stops. */
  get gracePeriodMs(): number {
    return this.#settings.gracePeriodMs;
  }

  /** Takes over what can change now. Throws 'config.invalid' or 'usage.invalid', and changes nothing then. */
  async take(file: ConfigFile): Promise<readonly Change[]> {
    const { logger } = this.#options;
    for (const warning of file.warnings) logger.warn(warning);
    const plan = this.#plan(file);
    await this.#apply(plan);
    const later = plan.changes.filter(({ takesEffect }) => takesEffect === 'restart').map(({ setting }) => setting);
    if (later.length > 0) logger.warn(`Changed, but only a restart takes it over: ${later.join(', ')}`);
    logger.info(`Reloaded ${file.path}`);
    return plan.changes;
  }

  /** Answers a command of this user. */
  async answer(question: ControlQuestion): Promise<ConnectorStatus | ReloadOutcome> {
    const { context, entry, file, tunnel, tunnelId } = this.#options;
    const about = { pid: context.pid, tunnelId, file: file?.path ?? null };
    switch (question.ask) {
      case 'status': {
        const { config, version } = tunnel.orchestrator;
        return { ...about, entry, version, config: config === undefined ? {} : encodeFullIngressJson(config) };
      }
      case 'reload':
        if (file === undefined) return { ...about, changes: [] };
        try {
          const changed = await loadIngressFile(file.path);
          const changes = question.dryRun ? this.#plan(changed).changes : await this.take(changed);
          return { ...about, changes };
        } catch (error) {
          if (!isPosternError(error)) throw error;
          return { ...about, changes: [], error: describeError(error) };
        }
      default:
        throw new PosternError('usage.invalid', 'This connector does not know that command');
    }
  }

  #plan(whole: ConfigFile): Plan {
    const { context, entry, given, tunnel } = this.#options;
    const file = entry === undefined ? whole : fileOfTunnel(whole, entry);
    const list = entry === undefined ? [] : changedList(this.#options.file, whole);
    if (file === undefined) return { settings: this.#settings, local: this.#local, changes: list };
    const settings = resolveTunnelSettings({ flags: given, env: context.env, file: file.settings });
    const local = localIngress(settings, file);
    // An editor that empties the file before it writes, or a deployment that went wrong: not what anybody wants to serve.
    if (local.source === 'none' && this.#local.source !== 'none')
      throw new PosternError(
        'config.invalid',
        `${file.path} has no ingress rules any more; the present configuration stays`,
      );
    const isManaged = tunnel.orchestrator.version >= 0;
    const before = { settings: this.#settings, config: this.#local.config };
    const changes = planReload(before, { settings, config: local.config }, isManaged);
    return { settings, local, changes: [...list, ...changes] };
  }

  async #apply({ settings, local }: Plan): Promise<void> {
    const { logger, transportLogger, tunnel } = this.#options;
    // Rules first: they are what may be refused.
    const { error } = await tunnel.reload(local.config, {
      maxActiveFlows: settings.maxActiveFlows,
      tags: parseTags(settings.tag),
      allowedDestinations: parseAllowedDestinations(settings.allowDestination),
    });
    if (error !== undefined) throw error;
    const level = levelNamed(settings.loglevel) ?? 'info';
    setLogLevel(logger, level);
    const transport = settings.sources['transport-loglevel'] === undefined ? undefined : settings.transportLoglevel;
    setLogLevel(transportLogger, (transport === undefined ? undefined : levelNamed(transport)) ?? level);
    this.#local = local;
    // Of what waits for a restart the old value stays in force, and is shown as changed again the next time.
    this.#settings = { ...this.#settings, ...liveOf(settings) };
  }
}

/** What the list of tunnels has become. One that is not in it any more runs on until the process ends, as it is. */
function changedList(before: ConfigFile | undefined, after: ConfigFile): readonly Change[] {
  const [old, next] = [before, after].map(file => file?.tunnels?.map(({ name }) => name).join(', ') ?? null);
  return old === next ? [] : [{ setting: 'tunnels', before: old ?? null, after: next ?? null, takesEffect: 'restart' }];
}

/** The values of the live settings among these. */
function liveOf(settings: TunnelSettings): Partial<TunnelSettings> {
  const keys = new Set(tunnelSettingFlags.filter(({ name }) => liveSettings.has(name)).map(settingKey));
  return Object.fromEntries(Object.entries(settings).filter(([key]) => keys.has(key)));
}
