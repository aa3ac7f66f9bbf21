// Installs and removes services: writes what a platform defines and runs what it asks for. What was written is removed again
// when a later step fails; a service that is there is never written over.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError, foreignCode, PosternError } from '../errors/error.ts';
import { makeDirectory } from '../net/file/make-directory.ts';
import { isPrintableLine } from '../telemetry/printable.ts';
import type { ServiceCommand, ServiceFile, ServicePlatform, ServiceSpec, ServiceSystem } from './service.ts';

/** Starting waits for the first registration, stopping for running requests: the managers' own limits are shorter. */
const commandTimeoutMs = 300_000;
/** Of what a failed command printed. */
const maxOutput = 4_000;

/**
 * Throws 'service.failed' when it is there already, may not be written, or does not start; the message says what to do. Throws
 * 'usage.invalid' for words that no definition can hold.
 */
export async function installService(
  spec: ServiceSpec,
  platform: ServicePlatform,
  system: ServiceSystem,
): Promise<void> {
  requireAdmin(platform, system, 'install');
  requireLines(spec);
  const { definition } = platform.paths(spec.name, system);
  const { files, links, commands } = platform.define(spec, system);
  if (existsSync(join(system.root, definition))) {
    const option = spec.name === undefined ? '' : ` --name ${spec.name}`;
    throw new PosternError(
      'service.failed',
      `The service ${platform.label(spec.name)} is installed already, at ${definition}. Remove it with: postern service ` +
        `uninstall${option}; or give this one another --name`,
    );
  }
  const written: string[] = [];
  let at: ServiceCommand | undefined;
  try {
    for (const file of files) writeServiceFile(join(system.root, file.path), file, written);
    for (const [path, target] of Object.entries(links)) link(join(system.root, path), target, written);
    for (at of commands) await run(at, system);
  } catch (error) {
    if (at?.starts === true) throw notStarted(spec, platform, error);
    for (const path of written) rmSync(path, { force: true });
    throw error;
  }
}

/** Throws 'service.failed' when there is no such service. */
export async function uninstallService(
  name: string | undefined,
  platform: ServicePlatform,
  system: ServiceSystem,
): Promise<void> {
  requireAdmin(platform, system, 'uninstall');
  requireInstalled(name, platform, system);
  const { before, files, after } = platform.removal(name, system);
  for (const command of before) await run(command, system);
  for (const path of files) remove(join(system.root, path));
  for (const command of after) await run(command, system);
}

/** Names of the instances that are installed, undefined for the one without a name; sorted. */
export function installedServices(platform: ServicePlatform, system: ServiceSystem): readonly (string | undefined)[] {
  const mark = 'NAME';
  const definition = platform.paths(mark, system).definition;
  const directory = dirname(definition.replaceAll('\\', '/'));
  const [prefix = '', suffix = ''] = definition.slice(directory.length + 1).split(mark);
  const found: (string | undefined)[] = [];
  if (existsSync(join(system.root, platform.paths(undefined, system).definition))) found.push(undefined);
  for (const entry of namesIn(join(system.root, directory)).toSorted()) {
    const name = entry.slice(prefix.length, entry.length - suffix.length);
    if (entry.startsWith(prefix) && entry.endsWith(suffix) && isServiceName(name)) found.push(name);
  }
  return found;
}

/** Letters, digits, `-`, `_` and `.`, as every manager takes in names. */
export function isServiceName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name);
}

/** Throws 'service.failed' and names those that are there. */
export function requireInstalled(name: string | undefined, platform: ServicePlatform, system: ServiceSystem): void {
  const installed = installedServices(platform, system);
  if (installed.includes(name)) return;
  const others = installed.map(other => platform.label(other)).join(', ');
  const hint =
    others === ''
      ? 'No other one is: install one with postern service install'
      : `There is ${others}: choose with --name`;
  throw new PosternError('service.failed', `The service ${platform.label(name)} is not installed. ${hint}`);
}

function requireAdmin(platform: ServicePlatform, system: ServiceSystem, verb: string): void {
  if (system.isAdmin || !platform.needsAdmin) return;
  const how =
    platform.id === 'windows' ? 'from a terminal of an administrator' : `as root: sudo postern service ${verb} …`;
  throw new PosternError('service.failed', `Services of ${platform.id} belong to the system. Run this ${how}`);
}

/** A definition has lines: a line break in a word would begin another setting, and XML has no control characters at all. */
function requireLines({ program, flags, user, secret }: ServiceSpec): void {
  const path = secret?.kind === 'credentials' ? [secret.path] : [];
  const wrong = [...program, ...flags, ...path, user ?? ''].find(word => !isPrintableLine(word));
  if (wrong === undefined) return;
  throw new PosternError('usage.invalid', `A service cannot have control characters in ${JSON.stringify(wrong)}`);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function writeServiceFile(path: string, { text, mode, encoding }: ServiceFile, written: string[]): void {
  try {
    makeDirectory(dirname(path), 0o755);
    // What an instance of the same name left behind is replaced; its mode would stay otherwise.
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode, flag: 'wx', encoding: encoding ?? 'utf8' });
    written.push(path);
    // Whatever the umask: the secret's is exact, the others must be readable.
    chmodSync(path, mode);
  } catch (cause) {
    throw new PosternError('service.failed', `Cannot write ${path}`, { cause });
  }
}

function link(path: string, target: string, written: string[]): void {
  try {
    makeDirectory(dirname(path), 0o755);
    rmSync(path, { force: true });
    symlinkSync(target, path);
    written.push(path);
  } catch (cause) {
    throw new PosternError('service.failed', `Cannot make the link ${path}`, { cause });
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw new PosternError('service.failed', `Cannot remove ${path}`, { cause });
  }
}

function notStarted(spec: ServiceSpec, platform: ServicePlatform, cause: unknown): PosternError {
  const option = spec.name === undefined ? '' : ` --name ${spec.name}`;
  return new PosternError(
    'service.failed',
    `The service ${platform.label(spec.name)} is installed but did not start: ${describeError(cause)}\n` +
      `See why with: postern service logs${option}; take it away with: postern service uninstall${option}`,
  );
}

async function run({ words, live, mayFail }: ServiceCommand, { root }: ServiceSystem): Promise<void> {
  if (live && root !== '') return;
  const { code, output } = await outcomeOf(words);
  if (code === 0 || mayFail === true) return;
  throw new PosternError('service.failed', `${words.join(' ')} failed (${code}): ${output.trim()}`);
}

function outcomeOf(words: readonly string[]): Promise<{ readonly code: number | string; readonly output: string }> {
  const [program = '', ...args] = words;
  return new Promise(resolve => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: commandTimeoutMs });
    let output = '';
    const take = (chunk: Buffer): void => {
      output = `${output}${chunk}`.slice(0, maxOutput);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', error => resolve({ code: 'not started', output: error.message }));
    // Not 'close': what a SysV script starts keeps the pipes open.
    child.once('exit', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', output }));
  });
}
