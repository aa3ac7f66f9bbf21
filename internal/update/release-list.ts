// The list of releases: which versions there are, and the size and hash of each file. Keys that sign it are vouched for by
// roots that are inside of the program, and can be exchanged without a new program. Both documents have a time until which they
// hold, and one of issue, before which an earlier one is not taken again. Source: docs/packages.md, "Updates".

import * as z from 'zod';
import { PosternError } from '../errors/error.ts';
import { isSignedBy, type PublicKeyText } from './signed-text.ts';
import { compareVersions, isPreRelease, versionPattern } from './version-order.ts';

/** Largest list that is read: an entry takes some 1,000 bytes. */
export const maxListBytes = 1 << 20;
/** Largest program that is taken; they have some 150 MB. */
const maxProgramBytes = 512 << 20;

/** One program. */
const programSchema = z.object({
  /** Beside the list's folder; no path. */
  name: z.string().regex(/^[A-Za-z0-9][\w.+-]{0,199}$/),
  bytes: z.int().min(1).max(maxProgramBytes),
  /** SHA-256 in lower-case hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ReleasedProgram = z.output<typeof programSchema>;

const releaseSchema = z.object({
  version: z.string().regex(versionPattern),
  /** By platform: `linux-x64`. */
  programs: z.record(z.string(), programSchema),
});
export type Release = z.output<typeof releaseSchema>;

const time = z.iso.datetime();

/** What the roots sign. */
export const signingKeysSchema = z.object({
  issued: time,
  expires: time,
  keys: z.array(z.string().regex(/^[\w-]{43}$/)).max(16),
});

/** What the signing keys sign. */
export const releasesSchema = z.object({ issued: time, expires: time, releases: z.array(releaseSchema).max(1_000) });
export type Releases = z.output<typeof releasesSchema>;

export const signedTextSchema = z.object({
  text: z.string(),
  signatures: z.array(z.string().max(128)).max(16),
});

/** The file: both documents, so that one fetch brings what belongs together. */
export const releaseListSchema = z.object({ signingKeys: signedTextSchema, releases: signedTextSchema });

/** Times of issue of the newest documents that were taken, ISO 8601. */
export const seenSchema = z.object({ signingKeys: time, releases: time });
export type Seen = z.output<typeof seenSchema>;

export interface ReadListOptions {
  /** Keys that are inside of this program. */
  readonly roots: readonly PublicKeyText[];
  readonly nowMs: number;
  readonly seen: Seen | undefined;
}

/** What was read, and what to keep as `seen`. */
export interface TrustedReleases {
  readonly releases: readonly Release[];
  readonly seen: Seen;
}

/** Throws 'update.refused' for a list that is not signed, is out of date, or is older than one that was seen. */
export function readReleaseList(text: string, { roots, nowMs, seen }: ReadListOptions): TrustedReleases {
  const list = parsed(releaseListSchema, text, 'list of releases');
  if (!isSignedBy('signing-keys', list.signingKeys, roots))
    throw refused('The signing keys are not signed by a root that this program knows');
  const signingKeys = parsed(signingKeysSchema, list.signingKeys.text, 'list of signing keys');
  requireFresh('signing keys', signingKeys, nowMs, seen?.signingKeys);
  if (!isSignedBy('releases', list.releases, signingKeys.keys))
    throw refused('The list of releases is not signed by a key that the roots vouch for');
  const releases = parsed(releasesSchema, list.releases.text, 'list of releases');
  requireFresh('list of releases', releases, nowMs, seen?.releases);
  return {
    releases: releases.releases,
    seen: { signingKeys: signingKeys.issued, releases: releases.issued },
  };
}

export interface ReleaseChoice {
  /** The version that runs. */
  readonly current: string;
  /** Undefined means the newest. */
  readonly wanted: string | undefined;
  /** Whether candidates count as the newest, too. */
  readonly preReleases: boolean;
  /** Whether an older version, or the same again, is taken when it is wanted. */
  readonly force: boolean;
}

/** The release to install; undefined when there is nothing to do. Throws 'update.refused' for an older or unknown version. */
export function chooseRelease(releases: readonly Release[], choice: ReleaseChoice): Release | undefined {
  const { current, wanted, preReleases, force } = choice;
  if (wanted === undefined) {
    const newest = releases
      .filter(({ version }) => preReleases || !isPreRelease(version))
      .sort((left, right) => compareVersions(right.version, left.version))[0];
    return newest !== undefined && compareVersions(newest.version, current) > 0 ? newest : undefined;
  }
  const found = releases.find(({ version }) => version === wanted);
  if (found === undefined) {
    const known = releases.map(({ version }) => version).sort(compareVersions);
    throw refused(`There is no version ${JSON.stringify(wanted)}; there are ${known.join(', ') || 'none'}`);
  }
  const order = compareVersions(wanted, current);
  if (order < 0 && !force)
    throw refused(`Version ${wanted} is older than ${current}, which runs. To go back all the same, add --force`);
  return order === 0 && !force ? undefined : found;
}

function requireFresh(
  what: string,
  { issued, expires }: { readonly issued: string; readonly expires: string },
  nowMs: number,
  seen: string | undefined,
): void {
  if (Date.parse(expires) <= nowMs) {
    throw refused(
      `The ${what} held until ${expires}, and it is ${new Date(nowMs).toISOString()} by this machine's clock: ` +
        'whoever publishes them must sign them anew',
    );
  }
  if (seen !== undefined && Date.parse(issued) < Date.parse(seen))
    throw refused(
      `The ${what} is of ${issued}, older than what was seen before, of ${seen}: somebody shows an old one`,
    );
}

function parsed<T extends z.ZodType>(schema: T, text: string, what: string): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refused(`The ${what} is not JSON`, cause);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw refused(`The ${what} is not as it should be: ${issue?.path.join('.') || 'all of it'}: ${issue?.message}`);
}

function refused(message: string, cause?: unknown): PosternError {
  return new PosternError('update.refused', message, { cause });
}
