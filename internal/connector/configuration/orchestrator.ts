// Decides which configuration is in force: the local one at first, then whatever the edge pushes with a higher version, or
// a changed config file. Validates whole, swaps at once, answers with version and error. Source:
// docs/protocol/ingress-and-origin.md §5.

import { EventEmitter } from 'node:events';
import { errorFields, PosternError } from '../../errors/error.ts';
import { encodeIngressJson } from '../../schema/encode-ingress.ts';
import type { IngressConfig } from '../../schema/ingress-rule.ts';
import { parseRemoteConfig } from '../../schema/remote-config.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** The proxy, as far as it is configured. */
export interface ConfigurableProxy {
  readonly config: IngressConfig | undefined;
  /** Throws and changes nothing when the configuration cannot be served. */
  swap(config: IngressConfig): Promise<void>;
}

export interface OrchestratorOptions {
  readonly proxy: ConfigurableProxy;
  /** Throws 'config.invalid' for a pushed configuration that this connector does not accept. */
  readonly check: (config: IngressConfig) => Promise<void>;
  /** `--max-active-flows`: overrides what every update says; undefined = the update's own. */
  readonly maxActiveFlows: number | undefined;
  readonly logger: Logger;
}

export interface UpdateResult {
  /** The version in force after the update; -1 = local. */
  readonly version: number;
  /** Why the update was not applied; undefined when it was, or when it was not newer. */
  readonly error: PosternError | undefined;
}

export interface OrchestratorEvents {
  /** A configuration came into force; version -1 = local. */
  applied: [version: number, config: IngressConfig];
}

/** Updates that wait for the one being applied; an edge sends one a connection. More are refused. */
const maxWaiting = 16;

export class Orchestrator extends EventEmitter<OrchestratorEvents> {
  readonly #options: OrchestratorOptions;
  #version = -1;
  #maxActiveFlows: number | undefined;
  /** The configuration in force as it was given. */
  #given: IngressConfig | undefined;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(options: OrchestratorOptions) {
    super();
    this.#options = options;
    this.#maxActiveFlows = options.maxActiveFlows;
  }

  /** Of the configuration in force; -1 = local. */
  get version(): number {
    return this.#version;
  }

  get config(): IngressConfig | undefined {
    return this.#options.proxy.config;
  }

  /** Applies a pushed configuration if it is newer. Never rejects. */
  update(version: number, json: string): Promise<UpdateResult> {
    return this.#inTurn(async () => {
      if (version <= this.#version) return;
      await this.#apply(version, parseRemoteConfig(json), true);
    });
  }

  /**
   * Applies a changed local configuration, unless the edge has pushed one, and a changed limit of flows, which beats both.
   * Never rejects.
   * @param limit the new limit of flows, undefined = what a configuration says; absent = as before
   * @param again whether the configuration in force is applied anew even when it is the edge's
   */
  replaceLocal(
    config: IngressConfig,
    limit: { readonly maxActiveFlows: number | undefined } = { maxActiveFlows: this.#maxActiveFlows },
    again = false,
  ): Promise<UpdateResult> {
    return this.#inTurn(async () => {
      const before = this.#maxActiveFlows;
      this.#maxActiveFlows = limit.maxActiveFlows;
      try {
        await this.#replace(config, again || before !== this.#maxActiveFlows);
      } catch (error) {
        this.#maxActiveFlows = before;
        throw error;
      }
    });
  }

  async #replace(config: IngressConfig, again: boolean): Promise<void> {
    if (this.#version < 0) {
      await this.#apply(-1, config, false);
      return;
    }
    const { logger } = this.#options;
    logger.warn({ version: this.#version }, 'The edge manages this tunnel: the local configuration is not used');
    if (again && this.#given !== undefined) await this.#apply(this.#version, this.#given, false);
  }

  /** Refuses updates from now on. */
  close(): void {
    this.#closed = true;
  }

  async #apply(version: number, parsed: IngressConfig, remote: boolean): Promise<void> {
    const { check, logger, proxy } = this.#options;
    const maxActiveFlows = this.#maxActiveFlows;
    const config =
      maxActiveFlows === undefined ? parsed : { ...parsed, warpRouting: { ...parsed.warpRouting, maxActiveFlows } };
    if (remote) await check(config);
    await proxy.swap(config);
    this.#version = version;
    this.#given = parsed;
    logger.info({ version, config: JSON.stringify(encodeIngressJson(config)) }, 'Updated to new configuration');
    this.emit('applied', version, config);
  }

  async #inTurn(work: () => Promise<void>): Promise<UpdateResult> {
    if (this.#closed) return this.#result(new PosternError('unavailable', 'The connector is shutting down'));
    if (this.#waiting >= maxWaiting) {
      return this.#result(new PosternError('unavailable', 'Too many configuration updates are waiting'));
    }
    this.#waiting += 1;
    const done = this.#tail.then(work).then(
      () => undefined,
      (error: unknown) => this.#refused(error),
    );
    this.#tail = done.then(() => {
      this.#waiting -= 1;
    });
    return this.#result(await done);
  }

  #refused(error: unknown): PosternError {
    const translated =
      error instanceof PosternError
        ? error
        : new PosternError('internal', 'The configuration could not be applied', { cause: error });
    this.#options.logger.error(errorFields(translated), 'Failed to update ingress');
    return translated;
  }

  #result(error: PosternError | undefined): UpdateResult {
    return { version: this.#version, error };
  }
}
