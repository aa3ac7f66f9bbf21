// The access log: one JSON line for each request that ended, in a file that is rotated by size. Requests never wait for the
// disk: lines gather while a write runs, up to a bound.

import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError, foreignCode, PosternError } from '../errors/error.ts';
import { makeDirectory } from '../net/file/make-directory.ts';
import { headerValue } from '../net/http/header-list.ts';
import type { ExchangeHead } from '../origin/exchange/exchange.ts';
import type { Logger } from '../telemetry/logger.ts';
import { requestIdOf } from './request-log.ts';

/** A request that ended. */
export interface AccessEntry {
  readonly head: ExchangeHead;
  /** 0 when no answer was sent. */
  readonly status: number;
  /** Of the bodies. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly tookMs: number;
  readonly ruleIndex: number;
  readonly service: string;
}

/** Its disposal writes what is left. */
export interface AccessLog extends AsyncDisposable {
  /** Never throws, never waits. */
  record(entry: AccessEntry): void;
}

/** Some 30,000 requests a file. */
export const maxAccessLogBytes = 10 << 20;
export const oldAccessLogs = 5;
/** What may wait for a slow disk; more is dropped and counted. */
export const maxWaitingBytes = 4 << 20;
/** Longest path and host shown. */
const maxTextLength = 1_024;

/**
 * Opens `path` for appending, making its directory. Throws 'config.invalid' when that fails. `maxBytes` is the size at which
 * the file is rotated: FILE → FILE.1 → … → FILE.5.
 */
export async function openAccessLog(
  path: string,
  { logger, maxBytes = maxAccessLogBytes }: { readonly logger: Logger; readonly maxBytes?: number },
): Promise<AccessLog> {
  try {
    makeDirectory(dirname(path), 0o744);
    const file = await openAppending(path);
    return new FileAccessLog(path, file, (await file.stat()).size, maxBytes, logger);
  } catch (error) {
    const reason = foreignCode(error) ?? describeError(error);
    throw new PosternError('config.invalid', `The access log ${path} cannot be opened: ${reason}`, { cause: error });
  }
}

/** Addresses of visitors are nobody else's business. */
function openAppending(path: string): Promise<FileHandle> {
  return open(path, 'a', 0o640);
}

class FileAccessLog implements AccessLog {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #logger: Logger;
  #file: FileHandle;
  #bytes: number;
  #lines: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #dropped = 0;
  #hasFailed = false;

  constructor(path: string, file: FileHandle, bytes: number, maxBytes: number, logger: Logger) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
    this.#logger = logger;
  }

  record(entry: AccessEntry): void {
    const line = formatEntry(entry, new Date());
    if (this.#waitingBytes + line.length > maxWaitingBytes) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  /** Never rejects: a full disk must not stop a tunnel. */
  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const data = Buffer.from(this.#lines.join(''));
      this.#lines = [];
      this.#waitingBytes = 0;
      try {
        if (this.#bytes > 0 && this.#bytes + data.length > this.#maxBytes) await this.#rotate();
        await this.#file.appendFile(data);
        this.#bytes += data.length;
        this.#tellDropped();
        this.#hasFailed = false;
      } catch (error) {
        if (!this.#hasFailed)
          this.#logger.warn({ error: describeError(error) }, `Lines of the access log ${this.#path} are lost`);
        this.#hasFailed = true;
      }
    }
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#logger.warn(
      { lines: this.#dropped },
      `The disk is too slow for the access log ${this.#path}: lines are lost`,
    );
    this.#dropped = 0;
  }

  async #rotate(): Promise<void> {
    for (let number = oldAccessLogs - 1; number >= 0; number -= 1) {
      const from = number === 0 ? this.#path : `${this.#path}.${number}`;
      await rename(from, `${this.#path}.${number + 1}`).catch((error: unknown) => {
        // There are fewer yet.
        if (foreignCode(error) !== 'ENOENT') throw error;
      });
    }
    const old = this.#file;
    this.#file = await openAppending(this.#path);
    this.#bytes = 0;
    await old.close();
  }
}

function formatEntry(
  { head, ruleIndex, service, status, bytesUp, bytesDown, tookMs }: AccessEntry,
  time: Date,
): string {
  // A query may hold secrets.
  const query = head.path.indexOf('?');
  const path = query === -1 ? head.path : head.path.slice(0, query);
  const fields = {
    time: time.toISOString(),
    cfRay: requestIdOf(head),
    visitor: headerValue(head.headers, 'cf-connecting-ip')?.slice(0, maxTextLength),
    method: head.method,
    host: head.host.slice(0, maxTextLength),
    path: path.slice(0, maxTextLength),
    status: status === 0 ? null : status,
    bytesUp,
    bytesDown,
    ms: Math.round(tookMs),
    ingressRule: ruleIndex,
    originService: service,
  };
  return `${JSON.stringify(fields)}\n`;
}
