// The directory that holds what an edge remembers: made when it is missing, and looked at before anything else is opened.

import { accessSync, constants, statSync } from 'node:fs';
import { makePrivateDirectory } from '../credentials/private-file.ts';
import { isSystemError, PosternError } from '../errors/error.ts';

/** Throws 'file.failed' unless this process can make files in `path`. */
export function openStateDirectory(path: string): void {
  const unusable = (cause: unknown): PosternError =>
    new PosternError('file.failed', `The state directory ${path} cannot be used: name another with --state-dir`, {
      cause,
    });
  try {
    makePrivateDirectory(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (isFile(path)) throw unusable(new PosternError('file.failed', 'It is a file'));
    throw isSystemError(error) || error instanceof PosternError ? unusable(error) : error;
  }
}

/** False too where nobody may look. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
