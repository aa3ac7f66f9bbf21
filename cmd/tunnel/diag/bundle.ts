// The bundle of a diagnosis as it grows: files by name, and how each job went. Secrets are taken out of every text that
// goes in. Source: docs/protocol/commands-and-api.md §18.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Zippable, zipSync } from 'fflate';
import { describeError, foreignCode, PosternError } from '../../../internal/errors/error.ts';
import type { Logger } from '../../../internal/telemetry/logger.ts';
import { redactSecrets } from '../../../internal/telemetry/redact-secrets.ts';

interface JobResult {
  readonly result: 'success' | 'failure';
  readonly error?: string;
}

export class Bundle {
  readonly #files = new Map<string, Uint8Array>();
  readonly #results: Record<string, JobResult> = {};
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get failed(): boolean {
    return Object.values(this.#results).some(({ result }) => result === 'failure');
  }

  /** Runs one job; what it throws is told and kept, and the others go on. */
  async run(job: string, collect: () => Promise<void> | void): Promise<void> {
    this.#logger.info(`Collecting ${job}...`);
    try {
      await collect();
      this.#results[job] = { result: 'success' };
      this.#logger.info(`Collected ${job}.`);
    } catch (error) {
      const text = redactSecrets(describeError(error));
      this.#results[job] = { result: 'failure', error: text };
      this.#logger.error({ error: text }, `Job: ${job} finished with error.`);
    }
  }

  addText(name: string, text: string): void {
    this.#files.set(name, Buffer.from(redactSecrets(text)));
  }

  addJson(name: string, value: unknown): void {
    this.addText(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  addBytes(name: string, bytes: Uint8Array): void {
    this.#files.set(name, bytes);
  }

  /** Writes the bundle into `directory`, for its owner alone, and gives its path. Throws 'health.failed' when that fails. */
  async write(directory: string, at: Date): Promise<string> {
    this.addJson('task-result.json', this.#results);
    const files: Zippable = Object.fromEntries([...this.#files].map(([name, bytes]) => [name, [bytes, { mtime: at }]]));
    const name = `postern-diag-${localTime(at)}.zip`;
    try {
      await writeFile(join(directory, name), zipSync(files), { mode: 0o600, flag: 'wx' });
    } catch (error) {
      const why = foreignCode(error) ?? describeError(error);
      const remedy = 'run it in a directory that can be written to and has room';
      throw new PosternError('health.failed', `Cannot write ${join(directory, name)} (${why}): ${remedy}`, {
        cause: error,
      });
    }
    return name;
  }
}

/** RFC 3339 in local time, with `-` for `:`, which some file systems do not take. */
function localTime(at: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}-${two(at.getMinutes())}-${two(at.getSeconds())}`;
  const offset = -at.getTimezoneOffset();
  if (offset === 0) return `${date}T${time}Z`;
  const minutes = Math.abs(offset);
  return `${date}T${time}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}-${two(minutes % 60)}`;
}
