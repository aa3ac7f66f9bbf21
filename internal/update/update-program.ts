// One update from beginning to end: the list of releases, the choice, the new program, the trial, the exchange. Source:
// docs/packages.md, "Updates"; docs/protocol/commands-and-api.md §12.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { replacePrivateFile } from '../credentials/private-file.ts';
import { describeError, foreignCode, isPosternError, PosternError } from '../errors/error.ts';
import { streamWeb } from '../net/http/web-request.ts';
import {
  chooseRelease,
  maxListBytes,
  type ReleaseChoice,
  type ReleasedProgram,
  readReleaseList,
  type Seen,
  seenSchema,
} from './release-list.ts';
import {
  lockProgram,
  type ProgramFiles,
  programFiles,
  putNextInPlace,
  putOldBack,
  writeNext,
} from './replace-program.ts';
import type { PublicKeyText } from './signed-text.ts';
import { type TriedProgram, tryConnector, tryVersion } from './try-program.ts';

/** Where a program finds newer ones, and what it believes. Inside of every program that was made for publishing. */
export interface UpdateSource {
  /** `https://…/releases.json`. */
  readonly url: string;
  readonly roots: readonly PublicKeyText[];
}

export interface UpdateOptions extends ReleaseChoice {
  readonly source: UpdateSource;
  /** The single binary, absolute. */
  readonly path: string;
  /** `linux-x64`. */
  readonly target: string;
  readonly env: TriedProgram['env'];
  /** Told before what takes long. */
  readonly onStep: (text: string) => void;
}

/** The version that is in place afterwards. */
export interface UpdateResult {
  readonly version: string;
  /** Path of the earlier program; undefined when there was nothing to do. */
  readonly old: string | undefined;
}

/** A list takes a moment; a slow line takes a minute. */
const listMs = 60_000;
/** 150 MB over a line of a megabit. */
const programMs = 30 * 60_000;
const maxRedirects = 5;

/**
 * Throws 'update.refused' for what cannot be trusted or is older, 'update.failed' for what cannot be fetched or written and for
 * a program that does not come up. Whatever it throws, the earlier program is in place.
 */
export async function updateProgram(options: UpdateOptions): Promise<UpdateResult> {
  const { source, target, current, env, onStep } = options;
  const files = programFiles(options.path);
  using _lock = lockProgram(files);
  const text = await fetchList(source.url);
  const list = readReleaseList(text, { roots: source.roots, nowMs: Date.now(), seen: readSeen(files) });
  replacePrivateFile(files.seen, `${JSON.stringify(list.seen)}\n`, 0o644);
  const release = chooseRelease(list.releases, options);
  if (release === undefined) return { version: current, old: undefined };
  const { version } = release;
  const program = Object.hasOwn(release.programs, target) ? release.programs[target] : undefined;
  if (program === undefined)
    throw new PosternError('update.refused', `Version ${version} has no program for ${target}`);
  onStep(`Fetching ${program.name}, ${(program.bytes / 1e6).toFixed(1)} MB`);
  await fetchProgram(new URL(program.name, source.url).href, files, program);
  onStep(`Trying version ${version}`);
  signForMac(files.next);
  await tryVersion({ path: files.next, version, env });
  await tryConnector({ path: files.next, version, env });
  putNextInPlace(files);
  try {
    // Under its own name it may be treated otherwise: labels of SELinux, rules of AppArmor.
    await tryVersion({ path: files.path, version, env });
  } catch (error) {
    putOldBack(files);
    throw error;
  }
  return { version, old: files.old };
}

function readSeen({ seen }: ProgramFiles): Seen | undefined {
  let text: string;
  try {
    text = readFileSync(seen, 'utf8');
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return undefined;
    throw new PosternError('update.failed', `Cannot read ${seen}`, { cause: error });
  }
  try {
    return seenSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new PosternError('update.failed', `${seen} is not what an update wrote. Remove it, and try again`, { cause });
  }
}

function fetchList(url: string): Promise<string> {
  return fetchSecurely(url, listMs, async body => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > maxListBytes)
        throw new PosternError('update.refused', `The list of releases at ${url} is longer than ${maxListBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  });
}

function fetchProgram(url: string, files: ProgramFiles, program: ReleasedProgram): Promise<void> {
  return fetchSecurely(url, programMs, body => writeNext(files, program, body));
}

/** Follows redirects as long as they stay with HTTPS. */
async function fetchSecurely<T>(
  url: string,
  timeoutMs: number,
  take: (body: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs);
  let at = url;
  try {
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      requireHttps(at);
      // Compressed, the length would not be what was announced.
      const headers = { 'Accept-Encoding': 'identity' };
      const answer = await streamWeb({ url: at, headers, signal }, async ({ status, headers: { location } }, body) => {
        if (status === 200) return { taken: await take(body) };
        if (status < 300 || status > 399 || location === undefined)
          throw new PosternError('update.failed', `unable to check for update: ${status} from ${at}`);
        return { next: new URL(location, at).href };
      });
      if (answer.next === undefined) return answer.taken;
      at = answer.next;
    }
  } catch (error) {
    if (isPosternError(error)) throw error;
    const why = signal.aborted ? `not finished within ${timeoutMs / 1_000} s` : describeError(error);
    throw new PosternError('update.failed', `${at} cannot be fetched: ${why}`);
  }
  throw new PosternError('update.failed', `${url} leads from one place to another more than ${maxRedirects} times`);
}

/** Throws 'update.refused'. The signatures would hold over HTTP too; who fetches what would be known to everybody on the way. */
export function requireHttps(url: string): void {
  if (URL.parse(url)?.protocol === 'https:') return;
  throw new PosternError('update.refused', `Updates are fetched by HTTPS only, not from ${JSON.stringify(url)}`);
}

/** A program that was made elsewhere has no signature, without which macOS starts nothing. */
function signForMac(path: string): void {
  if (process.platform === 'darwin') execFileSync('codesign', ['--force', '--sign', '-', path], { stdio: 'ignore' });
}
