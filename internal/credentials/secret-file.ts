// Files with secrets that somebody else may have written: those that every user of the machine can read are refused, with the
// command that mends it. Groups may read: that is how an administrator lets a service's user in. Source: inode(7),
// path_resolution(7).

import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { foreignCode, PosternError } from '../errors/error.ts';
import { shellWord } from '../telemetry/shell-word.ts';
import { readPrivateFile } from './private-file.ts';

/** Bits of a mode for those who are neither owner nor in the group. */
const othersRead = 0o004;
const othersEnter = 0o001;

/** As readPrivateFile; throws 'credentials.invalid' for a file that others can read. `what` names it: `The token file`. */
export function readSecretFile(path: string, what: string): string | undefined {
  const text = readPrivateFile(path);
  if (text !== undefined && othersCanRead(path) && isChangeable(path)) {
    throw new PosternError(
      'credentials.invalid',
      `${what} ${path} can be read by every user of this machine. Mend it with \`chmod 600 ${shellWord(path)}\``,
    );
  }
  return text;
}

/** Whether its mode, and those of the directories above, let others in. Windows has other means, which are not looked at. */
function othersCanRead(path: string): boolean {
  if (process.platform === 'win32') return false;
  const found = statSync(path);
  // A pipe belongs to whoever made it; the one of a shell's `<(…)` has no path of its own.
  if (!found.isFile() || (found.mode & othersRead) === 0) return false;
  const real = realpathSync(path);
  for (let directory = dirname(resolve(real)); ; directory = dirname(directory)) {
    if ((statSync(directory).mode & othersEnter) === 0) return false;
    if (dirname(directory) === directory) return true;
  }
}

/** Secrets of containers lie on read-only mounts, with modes that the program there cannot choose. */
function isChangeable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    return foreignCode(error) !== 'EROFS';
  }
  return true;
}
