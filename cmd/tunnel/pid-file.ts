// The file of --pidfile: the number of this process, from the first connection on until the process ends.

import { rm, writeFile } from 'node:fs/promises';
import { describeError, errorFields } from '../../internal/errors/error.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

export class PidFile implements AsyncDisposable {
  readonly #path: string | undefined;
  readonly #logger: Logger;
  #written: Promise<boolean> | undefined;

  /** `named` is the value of --pidfile. */
  constructor(named: string | undefined, context: CommandContext, logger: Logger) {
    this.#path = named === undefined || named === '' ? undefined : resolvePath(named, context);
    this.#logger = logger;
  }

  /** The first call writes it; a file that cannot be written is logged. */
  write(): void {
    if (this.#path !== undefined) this.#written ??= this.#write(this.#path);
  }

  async #write(path: string): Promise<boolean> {
    try {
      await writeFile(path, `${process.pid}\n`);
      return true;
    } catch (error) {
      this.#logger.error(errorFields(error), `Unable to write pid to ${path}`);
      return false;
    }
  }

  /** Removes what was written. An orderly end stays one when that fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#path === undefined || (await this.#written) !== true) return;
    try {
      await rm(this.#path, { force: true });
    } catch (error) {
      this.#logger.warn({ error: describeError(error) }, `Unable to remove ${this.#path}`);
    }
  }
}
