// A tunnel's configuration at the edge and that of the config file here: read, compared, and turned into each other. What one
// of them cannot hold is refused, never dropped. Source: docs/protocol/ingress-and-origin.md §5.

import { isDeepStrictEqual, diff as lineDiff } from 'node:util';
import { stringify } from 'yaml';
import { localIngress } from '../../../internal/config/file/local-ingress.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import type { TunnelId } from '../../../internal/schema/api/id.ts';
import { encodeIngressFile, encodeIngressJson } from '../../../internal/schema/encode-ingress.ts';
import type { IngressConfig } from '../../../internal/schema/ingress-rule.ts';
import { parseRemoteConfig, unknownRemoteKeys } from '../../../internal/schema/remote-config.ts';
import type { Invocation } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import type { ApiSession } from '../api.ts';
import { noConfigText } from '../ingress/validate.ts';
import { loadSettings } from '../settings.ts';

/** The configuration as the API takes and gives it. */
export type RemoteDocument = Readonly<Record<string, unknown>>;

export interface RemoteConfiguration {
  /** 0 = none was set. */
  readonly version: number;
  readonly document: RemoteDocument;
  readonly config: IngressConfig;
}

export async function readRemote(api: ApiSession, id: TunnelId): Promise<RemoteConfiguration> {
  const { config, version } = await api.client.getConfiguration({ params: { account: api.account, id } });
  const document = config ?? {};
  return { version, document, config: parseRemoteConfig(document) };
}

/**
 * The rules of the config file (or of --url) in the form of the edge. Throws 'config.not-found' without any, 'config.invalid'
 * for what that form cannot hold.
 */
export async function readLocal(
  invocation: Pick<Invocation, 'given'>,
  context: CommandContext,
): Promise<{ readonly config: IngressConfig; readonly document: RemoteDocument }> {
  const { settings, file } = await loadSettings(invocation, context);
  const { config, source } = localIngress(settings, file);
  if (source === 'none')
    throw new PosternError('config.not-found', file === undefined ? noConfigText : `${file.path} has no ingress rules`);
  const document = encodeIngressJson(config);
  const lost = lossOf(config, document);
  if (lost !== undefined)
    throw new PosternError('config.invalid', `${file?.path ?? 'These settings'}: the edge cannot hold ${lost}`);
  return { config, document };
}

/** What would be another thing at the other end; undefined = nothing. */
function lossOf(config: IngressConfig, document: RemoteDocument): string | undefined {
  const fraction = /"(\w+)":\d+\.\d+/.exec(JSON.stringify(document))?.[1];
  if (fraction !== undefined) return `a fraction of a second in ${fraction}. Write whole seconds`;
  const again = parseRemoteConfig(document);
  const changed = config.rules.find((rule, at) => !isDeepStrictEqual(rule, again.rules[at]));
  if (changed !== undefined) return `rule ${changed.index} (${changed.service.text}) as it is`;
  return isDeepStrictEqual(config.warpRouting, again.warpRouting) ? undefined : 'warp-routing as it is';
}

/**
 * The configuration as it stands in a config file, as YAML. Throws 'config.invalid' when it has keys that no connector of this
 * version reads: they would be lost.
 */
export function fileText({ document, config }: Pick<RemoteConfiguration, 'config' | 'document'>): string {
  const unknown = unknownRemoteKeys(JSON.stringify(document));
  if (unknown.length > 0) {
    const keys = unknown.join(', ');
    throw new PosternError('config.invalid', `The configuration at the edge has keys that would be lost: ${keys}`);
  }
  return yamlOf(config);
}

/** For people and for comparing: defaults left out. */
export function yamlOf(config: IngressConfig): string {
  return stringify(encodeIngressFile(config));
}

/** Lines before and after a change that are shown with it. */
const contextLines = 3;

/** Both texts line by line, `-` only in the first, `+` only in the second; '' when they are the same. */
export function diffText(before: string, after: string): string {
  if (before === after) return '';
  const linesOf = (text: string): string[] => (text === '' ? [] : text.trimEnd().split('\n'));
  const lines = lineDiff(linesOf(before), linesOf(after));
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - contextLines), at + contextLines + 1).some(([operation]) => operation !== 0),
  );
  const signs: Readonly<Record<number, string>> = { 0: ' ', 1: '-', [-1]: '+' };
  const shown = lines.flatMap(([operation, text], at) => {
    if (near[at] === true) return [`${signs[operation]}${text}`];
    return near[at - 1] === true || at === 0 ? ['…'] : [];
  });
  return `${shown.join('\n')}\n`;
}
