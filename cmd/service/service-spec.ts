// From the command line of `service install` to the service that is meant: its secret, its config file, its flags. Everything
// is checked before anything is written. Source: docs/protocol/commands-and-api.md §11.

import { accessSync, constants, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type ConfigFile,
  configDirectories,
  findConfigFile,
  loadIngressFile,
  readConfigText,
} from '../../internal/config/file/config-file.ts';
import type { Flag } from '../../internal/config/flag.ts';
import { ignoredFlags } from '../../internal/config/ignored-flags.ts';
import { logFlags } from '../../internal/config/log-flags.ts';
import { type GivenFlags, resolveFlags } from '../../internal/config/resolve-flags.ts';
import { runFlags } from '../../internal/config/run-flags.ts';
import { tunnelFlags } from '../../internal/config/tunnel-flags.ts';
import { resolveTunnelSettings, type TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { readCredentialsFile } from '../../internal/credentials/tunnel-credentials.ts';
import { encodeToken, parseToken } from '../../internal/credentials/tunnel-token.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { parseTunnelId } from '../../internal/schema/api/id.ts';
import type { ServiceSecret, ServiceSpec } from '../../internal/service/service.ts';
import { findPackageOwner } from '../../internal/update/package-owner.ts';
import type { CommandContext } from '../context.ts';
import { edgeFlags } from '../edge/edge-flags.ts';
import { readTokens } from '../read-tokens.ts';
import { resolvePath } from '../resolve-path.ts';
import { givenToken } from '../tunnel/run-token.ts';
import { binaryPath, updateSource } from '../update/own-build.ts';

export interface ServiceRequest {
  /** [TOKEN], then the words after `--`. */
  readonly args: readonly string[];
  readonly given: GivenFlags;
  readonly name: string | undefined;
  readonly user: string | undefined;
  readonly isEdge: boolean;
  /** `--no-update-service`. */
  readonly noUpdates: boolean;
}

/** Flags of the command that say who is served, not how: what they name is copied or loaded. */
const identityFlags = [
  'config',
  'token',
  'token-file',
  'credentials-contents',
  'credentials-file',
  'name',
  'edge',
  'user',
  'no-update-service',
];

/** Throws 'usage.invalid', 'config.invalid', 'credentials.invalid' or 'credentials.not-found', each with what would be right. */
export async function serviceSpec(request: ServiceRequest, context: CommandContext): Promise<ServiceSpec> {
  const { name, user } = request;
  const program = context.program;
  if (request.isEdge) {
    const flags = edgeWords(request, context);
    return { name, user, program, flags, kind: 'edge', secret: undefined, config: undefined };
  }
  const [first, ...rest] = request.args;
  const hasToken = first !== undefined && !first.startsWith('-');
  const flags = connectorWords(hasToken ? rest : request.args, request.given);
  const { config: named, ...given } = request.given;
  const settings = resolveTunnelSettings({ flags: given, env: context.env });
  // The secret in the token's own words: what is written is what was checked.
  const token = hasToken ? parseToken(first) : await givenToken(settings, context);
  const updates = !request.noUpdates && !settings.noAutoupdate && (await canBeUpdated(context));
  const path = named?.at(-1) ? resolvePath(named.at(-1) ?? '', context) : undefined;
  const tokenSecret: ServiceSecret | undefined = token && { kind: 'token', text: encodeToken(token) };
  if (path === undefined && tokenSecret !== undefined)
    return { name, user, program, flags, updates, kind: 'connector', secret: tokenSecret, config: undefined };
  const file = await loadConfig(path, context);
  const secret = tokenSecret ?? credentialsOf(file, settings, context);
  return { name, user, program, flags, updates, kind: 'connector', secret, config: await readConfigText(file.path) };
}

/** Whether `postern update` would look for a newer program. */
async function canBeUpdated(context: CommandContext): Promise<boolean> {
  const { env, platform } = context;
  const path = binaryPath(context);
  if (path === undefined || updateSource === undefined) return false;
  return (await findPackageOwner({ path, platform, env })) === undefined;
}

async function loadConfig(path: string | undefined, context: CommandContext): Promise<ConfigFile> {
  const found = path ?? (await findConfigFile(configDirectories(context.homeDir, context.platform)));
  if (found === undefined) {
    throw new PosternError(
      'usage.invalid',
      'A service needs a token or a config file: postern service install --token-file FILE, or --config FILE; an edge ' +
        'is installed with --edge',
    );
  }
  const file = await loadIngressFile(found);
  const secrets = ['token', 'credentials-contents'].filter(key => file.settings[key] !== undefined);
  if (secrets.length > 0) {
    throw new PosternError(
      'config.invalid',
      `${found} holds a secret (${secrets.join(', ')}), and the copy for the service is readable. Give it by --token-file instead`,
    );
  }
  return file;
}

/** The credentials file that the config or a flag names, else `<id>.json` beside the config file. */
function credentialsOf(file: ConfigFile, settings: TunnelSettings, context: CommandContext): ServiceSecret {
  const { tunnel } = file;
  const named = settings.credentialsFile ?? file.credentialsFile;
  const path = named === undefined ? undefined : resolvePath(named, context);
  const beside =
    tunnel !== undefined && parseTunnelId(tunnel) !== undefined
      ? join(dirname(file.path), `${tunnel}.json`)
      : undefined;
  const found =
    path ?? (beside !== undefined && statSync(beside, { throwIfNoEntry: false }) !== undefined ? beside : undefined);
  if (tunnel === undefined || found === undefined) {
    throw new PosternError(
      'config.invalid',
      `configuration file ${file.path} must contain entries for the tunnel to run and its associated credentials ` +
        '(tunnel: TUNNEL-UUID, credentials-file: CREDENTIALS-FILE). The file is TUNNEL-UUID.json, ' +
        'which "postern tunnel create" wrote',
    );
  }
  const { tunnelId } = readCredentialsFile(found);
  if (parseTunnelId(tunnel) === undefined && tunnelId === undefined)
    throw new PosternError('config.invalid', `${file.path} must name the tunnel by its id: ${found} does not hold it`);
  return { kind: 'credentials', path: found };
}

/** Flags given to the command and words after `--`, checked as `tunnel run` would. */
function connectorWords(rest: readonly string[], given: GivenFlags): readonly string[] {
  const flags: readonly Flag[] = [...tunnelFlags, ...runFlags, ...ignoredFlags];
  const outer = Object.entries(given).filter(([name]) => !identityFlags.includes(name));
  const inner = readFlags(rest, flags);
  resolveTunnelSettings({ flags: { ...Object.fromEntries(outer), ...inner }, env: {} });
  return wordsOf([...outer, ...Object.entries(inner)]);
}

/** Words after `--`, and flags about logging given to the command, checked as `edge run` would. */
function edgeWords({ args, given }: ServiceRequest, context: CommandContext): readonly string[] {
  const known: readonly string[] = [...identityFlags, ...logFlags.map(({ name }) => name)];
  const wrong = Object.keys(given).find(name => !known.includes(name));
  if (wrong !== undefined || given.token !== undefined || given['token-file'] !== undefined)
    throw new PosternError('usage.invalid', `--${wrong ?? 'token'} is of connectors; flags of an edge follow after --`);
  const flags: readonly Flag[] = [...edgeFlags, ...logFlags];
  const inner = readFlags(args, flags);
  resolveFlags(flags, { given: inner, env: {} });
  const absolute = (name: string, texts: readonly string[]): readonly string[] =>
    ['state-dir', 'cert', 'key', 'ca'].includes(name) ? texts.map(text => resolvePath(text, context)) : texts;
  const outer = Object.entries(given).filter(([name]) => !identityFlags.includes(name));
  return wordsOf([...outer, ...Object.entries(inner)].map(([name, texts]) => [name, absolute(name, texts)]));
}

function readFlags(words: readonly string[], flags: readonly Flag[]): GivenFlags {
  const read = readTokens(words, flags);
  if (read.args[0] !== undefined)
    throw new PosternError('usage.invalid', `Too many arguments: ${JSON.stringify(read.args[0])} after --`);
  const given = Object.fromEntries(read.given);
  const secret = Object.keys(given).find(name => ['token', 'credentials-contents'].includes(name));
  if (secret !== undefined)
    throw new PosternError('usage.invalid', `--${secret} would show in process lists: give it before --, or as a file`);
  return given;
}

function wordsOf(given: readonly (readonly [name: string, texts: readonly string[]])[]): readonly string[] {
  return given.flatMap(([name, texts]) => texts.map(text => `--${name}=${text}`));
}

/**
 * A service's own user must be able to read the program. Throws 'service.failed' with the file or directory that keeps others
 * out.
 */
export function requireReadable(program: readonly string[]): void {
  for (const path of program.filter(word => word.startsWith('/'))) {
    for (let at = path; ; at = dirname(at)) {
      const { mode } = statSync(at);
      if ((mode & (at === path ? 0o004 : 0o001)) === 0) {
        throw new PosternError(
          'service.failed',
          `The user of the service cannot read ${path}, because of the mode of ${at}. Install Postern where everybody can ` +
            'read it, such as /usr/local, or name a user who can with --user',
        );
      }
      if (dirname(at) === at) break;
    }
    accessSync(path, constants.R_OK);
  }
}
