// Profiles: API credentials of several edges and accounts side by side. `default` is ~/.postern itself; any other has a
// directory of its own with cert.pem, and the CA of its edge where that is a private one. `profile` names the one in use.
//
//   ~/.postern/cert.pem   ~/.postern/profile   ~/.postern/profiles/<name>/{cert.pem,ca.pem}

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { foreignCode, PosternError } from '../errors/error.ts';
import { makePrivateDirectory, readPrivateFile, replacePrivateFile } from './private-file.ts';

export const certName = 'cert.pem';
export const defaultProfile = 'default';

/** Where a profile's files lie. Throws 'usage.invalid' for a name that could be a path or another file. */
export function profileDirectory(homeDir: string, name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new PosternError(
      'usage.invalid',
      `${JSON.stringify(name)} is no name of a profile: use up to 64 letters, digits, dots, hyphens and underscores`,
    );
  }
  const own = join(homeDir, '.postern');
  return name === defaultProfile ? own : join(own, 'profiles', name);
}

/** Names of the profiles that hold a credential, sorted. */
export function listProfiles(homeDir: string): readonly string[] {
  const own = join(homeDir, '.postern');
  const isKept = (name: string): boolean => existsSync(join(profileDirectory(homeDir, name), certName));
  const others = namesIn(join(own, 'profiles')).filter(name => /^[A-Za-z0-9]/.test(name) && name !== defaultProfile);
  return [defaultProfile, ...others].filter(isKept).toSorted();
}

/** The one that `useProfile` chose; undefined for none, and for `default`. */
export function readCurrentProfile(homeDir: string): string | undefined {
  const name = readPrivateFile(join(homeDir, '.postern', 'profile'))?.trim();
  return name === undefined || name === '' ? undefined : name;
}

/** Makes a profile the one that commands use by themselves. Throws 'file.failed'. */
export function useProfile(homeDir: string, name: string): void {
  const own = join(homeDir, '.postern');
  makePrivateDirectory(own);
  if (name === defaultProfile) rmSync(join(own, 'profile'), { force: true });
  else replacePrivateFile(join(own, 'profile'), `${name}\n`);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return [];
    throw error;
  }
}
