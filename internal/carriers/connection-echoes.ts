// An echo through each registered connection: a call that opens a stream to the connector as a request does, and that any
// connector answers without doing anything. A connection that registered, answers pings and yet carries nothing is ended, so
// that its connector dials another. docs/liveness.md says what is sent and when.

import { isPosternError, PosternError } from '../errors/error.ts';
import { withDeadline } from '../net/time/deadline.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import type { ConnectorRegistry, RegisteredConnection } from './connector-registry.ts';

export interface EchoTimes {
  /** From the registration to the first echo; what a connector does at its start comes first. */
  readonly firstMs: number;
  /** Between an answer and the next echo. */
  readonly everyMs: number;
  /** How long an answer may take: a connector serves such a call for 5 s (docs/protocol/edge-protocol.md §7.4). */
  readonly timeoutMs: number;
}

export interface ConnectionEchoesOptions {
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  readonly times?: EchoTimes | undefined;
}

export const echoTimes: EchoTimes = { firstMs: 1_000, everyMs: 30_000, timeoutMs: 5_000 };
/** Answers that may be missing in a row: the first may be late because this process stood still. */
const maxMissing = 2;
/**
 * More bytes than that meanwhile, either way, are something carried: the echo waits behind them. Pings and acknowledgements are
 * some hundred.
 */
const carriedBytes = 16 * 1024;
/** Older than every configuration: the connector answers with the version that it has. */
const nothingNew = { version: -1, json: '{}' } as const;

export class ConnectionEchoes implements Disposable {
  readonly #logger: Logger;
  readonly #times: EchoTimes;
  readonly #timers = new Map<RegisteredConnection, NodeJS.Timeout>();
  readonly #unsubscribe: () => void;

  /** Follows the registry until it is disposed. */
  constructor({ logger, registry, times = echoTimes }: ConnectionEchoesOptions) {
    this.#logger = logger;
    this.#times = times;
    this.#unsubscribe = registry.subscribe(({ kind, registered }) => {
      if (kind === 'registered') this.#next(registered, times.firstMs);
      else this.#end(registered);
    });
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    for (const registered of [...this.#timers.keys()]) this.#end(registered);
  }

  #next(registered: RegisteredConnection, waitMs: number, missing = 0): void {
    const timer = setTimeout(() => void this.#try(registered, missing), waitMs).unref();
    this.#timers.set(registered, timer);
  }

  #end(registered: RegisteredConnection): void {
    clearTimeout(this.#timers.get(registered));
    this.#timers.delete(registered);
  }

  /** Never rejects. */
  async #try(registered: RegisteredConnection, missing: number): Promise<void> {
    const { connection } = registered;
    const { everyMs, timeoutMs } = this.#times;
    const before = bytesOf(connection);
    const isAnswered = await echo(connection, timeoutMs);
    // Ended meanwhile, or about to.
    if (!this.#timers.has(registered) || registered.draining) return;
    if (isAnswered || bytesOf(connection) - before > carriedBytes) this.#next(registered, everyMs);
    else if (missing + 1 < maxMissing) this.#next(registered, 0, missing + 1);
    else {
      const { connIndex, id, tunnelId } = registered;
      const fields = { connection: id, tunnelID: tunnelId, connIndex };
      this.#logger.warn(fields, 'A connection carries nothing, though its connector is there: it is ended');
      const seconds = (maxMissing * timeoutMs) / 1_000;
      const text = `The connection carried nothing: no answer to an echo through it within ${seconds} s.`;
      connection.abort(new PosternError('connection.lost', text));
    }
  }
}

/** Whether the connector said anything; what it said does not matter. Never rejects. */
async function echo(connection: EdgeConnection, timeoutMs: number): Promise<boolean> {
  const late = (): PosternError => new PosternError('rpc.timeout', `No answer to an echo within ${timeoutMs} ms.`);
  try {
    // The stream itself may not come to be.
    await withDeadline(connection.configure(nothingNew, timeoutMs), timeoutMs + 100, late);
    return true;
  } catch (error) {
    return !isPosternError(error, 'rpc.timeout');
  }
}

function bytesOf(connection: EdgeConnection): number {
  const { receivedBytes = 0, sentBytes = 0 } = connection.stats();
  return receivedBytes + sentBytes;
}
