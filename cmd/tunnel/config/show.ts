// `tunnel config show`: what is in force here, and where each value came from.

import type { ConfigFile } from '../../../internal/config/file/config-file.ts';
import { type ExplainedSetting, explainSettings } from '../../../internal/config/file/explain-settings.ts';
import { localIngress } from '../../../internal/config/file/local-ingress.ts';
import type { TunnelEntry } from '../../../internal/config/file/tunnel-entries.ts';
import type { GivenFlags } from '../../../internal/config/resolve-flags.ts';
import { runFlags } from '../../../internal/config/run-flags.ts';
import type { TunnelSettings } from '../../../internal/config/tunnel-settings.ts';
import { encodeIngressJson } from '../../../internal/schema/encode-ingress.ts';
import { printableLine } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { formatTable } from '../../table.ts';
import { findConnectors, type RunningConnector } from '../control.ts';
import { loadSettings } from '../settings.ts';
import { tunnelInputs } from '../tunnel-inputs.ts';

/** Ingress rules and private networks, and who gave them. */
interface ShownRules {
  readonly source: 'edge' | 'file' | 'flags' | 'none';
  /** `config.yml:3`, `version 4, connector 1234`; null where nothing gave any. */
  readonly from: string | null;
  readonly config: Readonly<Record<string, unknown>>;
}

export const command = defineCommand({
  description:
    'Shows the settings that are in force with the flags, variables and config file of this command line, and where each value ' +
    'came from. Rules that the edge pushed to a connector of this user, for the same config file, win. Secrets are masked.',
  flags: [
    // For the connector that is meant, with the flags that it would be started with.
    ...runFlags,
    { name: 'all', type: 'boolean', description: 'Also settings at their defaults' },
    outputFlag,
  ],
  usualFlags: ['config', 'all', 'output'],
  inheritedHelp: true,
  examples: [
    ['postern tunnel config show', 'What was set, and where'],
    ['postern tunnel config show --all -o json', 'Everything, for programs'],
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    // --output is this command's own here, and the variables are about logs.
    const { output: _, ...given } = invocation.given;
    const { settings, file } = await loadSettings({ given }, context);
    const explained = explainSettings(settings, { env: context.env, file });
    const shown = explained.filter(({ source }) => invocation.flags.all || source !== 'default');
    const running = file === undefined ? [] : await findConnectors(context);
    const rules = rulesInForce(settings, file, undefined, running);
    const tunnels = file?.tunnels?.map(entry => showTunnel(entry, { settings, file, given }, running, context));
    if (format !== undefined) {
      writeFormatted(context, format, { file: file?.path ?? null, settings: shown, rules, tunnels });
      return;
    }
    const several = tunnels?.map(tunnel => `\n${formatTunnel(tunnel)}`).join('') ?? '';
    context.stdout.write(`${formatSettings(shown, file)}\n${several === '' ? formatRules(rules) : several.slice(1)}`);
  },
});

/** One tunnel of the file's list. */
interface ShownTunnel {
  readonly name: string;
  readonly settings: readonly ExplainedSetting[];
  readonly rules: ShownRules;
}

function showTunnel(
  { name, settings: own }: TunnelEntry,
  all: { readonly settings: TunnelSettings; readonly file: ConfigFile; readonly given: GivenFlags },
  running: readonly RunningConnector[],
  context: CommandContext,
): ShownTunnel {
  const { settings, file } = tunnelInputs(name, all, context);
  const explained = explainSettings(settings, { env: context.env, file });
  return {
    name,
    settings: explained.filter(setting => own[setting.name] !== undefined),
    rules: rulesInForce(settings, file, name, running),
  };
}

/** @param entry name of the tunnel in the file's list */
function rulesInForce(
  settings: TunnelSettings,
  file: ConfigFile | undefined,
  entry: string | undefined,
  running: readonly RunningConnector[],
): ShownRules {
  const managed = running
    .map(({ status }) => status)
    .find(status => status.file === file?.path && status.entry === entry && status.version >= 0);
  if (managed !== undefined) {
    const from = `version ${managed.version}, connector ${managed.pid}`;
    return { source: 'edge', from, config: managed.config as ShownRules['config'] };
  }
  const { config, source } = localIngress(settings, file);
  const line = file?.places.ingress?.line;
  const from = source === 'file' ? `${file?.path}:${line}` : source === 'flags' ? settingOf(settings) : null;
  return { source, from, config: encodeIngressJson(config) };
}

/** The setting that makes up the one rule. */
function settingOf({ bastion, helloWorld, url }: TunnelSettings): string {
  if (helloWorld) return 'hello-world';
  if (bastion) return 'bastion';
  return url === undefined ? 'unix-socket' : 'url';
}

function formatSettings(shown: readonly ExplainedSetting[], file: ConfigFile | undefined): string {
  const head = file === undefined ? 'No config file is used\n' : `Config file ${printableLine(file.path)}\n`;
  return head + (shown.length === 0 ? 'Every setting has its default\n' : settingsTable(shown));
}

function settingsTable(shown: readonly ExplainedSetting[]): string {
  const rows = shown.map(({ name, value, source, from }) => [name, value ?? '-', from ?? source]);
  return formatTable(['SETTING', 'VALUE', 'FROM'], rows);
}

function formatTunnel({ name, rules, settings }: ShownTunnel): string {
  const own = settings.length === 0 ? '' : settingsTable(settings);
  return `Tunnel ${printableLine(name)}\n${own}${formatRules(rules)}`;
}

const sources: Readonly<Record<ShownRules['source'], string>> = {
  edge: 'Rules of the edge',
  file: 'Rules of the config file',
  flags: 'One rule, of the setting',
  none: 'No rules: every request is answered 503',
};

function formatRules({ source, from, config }: ShownRules): string {
  const rules = (config.ingress ?? []) as readonly Readonly<Record<string, string | null>>[];
  const rows = rules.map(({ hostname, path, service }, at) => [
    String(at),
    hostname || '*',
    path || '-',
    service ?? '-',
  ]);
  const head = `${sources[source]}${from === null ? '' : ` (${printableLine(from)})`}\n`;
  return source === 'none' ? head : head + formatTable(['RULE', 'HOSTNAME', 'PATH', 'SERVICE'], rows);
}
