// A log file: appended line by line, optionally rotated by size. Source: docs/protocol/commands-and-api.md §15 (0644,
// parent directory made, 1 MB and five old files for a log directory).

import { appendFileSync, closeSync, existsSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError, foreignCode, PosternError } from '../internal/errors/error.ts';
import { makeDirectory } from '../internal/net/file/make-directory.ts';

export interface LogFile {
  /** Appends one complete line. Never throws: a full disk must not stop a tunnel; the line is lost. */
  write(line: string): void;
  close(): Promise<void>;
}

export const maxBytes = 1024 * 1024;
const oldFiles = 5;

/**
 * Opens for appending, making the directory. Throws 'config.invalid' when that fails.
 * @param failed told of the first line that is lost, and again once lines were written in between
 */
export async function openLogFile(
  path: string,
  { failed, rotate }: { readonly rotate: boolean; readonly failed?: (error: unknown) => void },
): Promise<LogFile> {
  try {
    makeDirectory(dirname(path), 0o744);
    return new AppendedFile(path, rotate, failed);
  } catch (error) {
    const reason = foreignCode(error) ?? describeError(error);
    throw new PosternError('config.invalid', `Log file ${path} cannot be opened: ${reason}`, { cause: error });
  }
}

class AppendedFile implements LogFile {
  readonly #path: string;
  readonly #rotate: boolean;
  readonly #failed: ((error: unknown) => void) | undefined;
  #fd: number | undefined;
  #bytes: number;
  #isFailing = false;

  constructor(path: string, rotate: boolean, failed: ((error: unknown) => void) | undefined) {
    this.#failed = failed;
    this.#path = path;
    this.#rotate = rotate;
    this.#fd = openSync(path, 'a', 0o644);
    this.#bytes = statSync(path).size;
  }

  write(line: string): void {
    const data = Buffer.from(line);
    try {
      if (this.#rotate && this.#bytes > 0 && this.#bytes + data.length > maxBytes) this.#turn();
      if (this.#fd === undefined) return;
      // Synchronous, so that the last lines before a crash are there; logging is not on the request path at info.
      appendFileSync(this.#fd, data);
      this.#bytes += data.length;
      this.#isFailing = false;
    } catch (error) {
      // The console copy of the line remains.
      if (this.#isFailing) return;
      this.#isFailing = true;
      this.#failed?.(error);
    }
  }

  async close(): Promise<void> {
    this.#closeFd();
  }

  /** postern.log → postern.log.1 → … → postern.log.5. */
  #turn(): void {
    this.#closeFd();
    try {
      for (let number = oldFiles - 1; number >= 0; number -= 1) {
        const from = number === 0 ? this.#path : `${this.#path}.${number}`;
        if (existsSync(from)) renameSync(from, `${this.#path}.${number + 1}`);
      }
    } finally {
      // When renaming fails the old file grows on.
      this.#fd = openSync(this.#path, 'a', 0o644);
      this.#bytes = 0;
    }
  }

  #closeFd(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
