// The connector's end of the control stream: registers one connection, sends the local configuration, unregisters.
// Source: docs/protocol/edge-protocol.md §7.3 (order of messages), §7.4 (deadlines), §8 (meaning).

import type { Duplex } from 'node:stream';
import { isPosternError, PosternError } from '../errors/error.ts';
import type { RpcFigures } from '../telemetry/rpc-figures.ts';
import type { StructReader } from '../wire/capnp/capnp-reader.ts';
import type { StructWriter } from '../wire/capnp/capnp-writer.ts';
import {
  type ConnectionDetails,
  decodeRegisterResults,
  duplicateConnectionCause,
  encodeLocalConfigurationParams,
  encodeNothing,
  encodeRegisterParams,
  type RegistrationRefusal,
  type RegistrationRequest,
  registrationServer,
} from '../wire/rpc/registration.ts';
import type { RpcMethod } from './questions.ts';
import { RpcSession } from './session.ts';

const { interfaceId } = registrationServer;
const methods = {
  register: { interfaceId, methodId: registrationServer.registerConnection, name: 'registerConnection' },
  unregister: { interfaceId, methodId: registrationServer.unregisterConnection, name: 'unregisterConnection' },
  configure: { interfaceId, methodId: registrationServer.updateLocalConfiguration, name: 'updateLocalConfiguration' },
} as const;

export interface RegistrationClientOptions {
  /** Deadline of each call; the recorded connector uses 5 s. */
  readonly timeoutMs: number;
  /** Counts the calls. */
  readonly figures?: RpcFigures | undefined;
}

/**
 * All methods reject with 'rpc.timeout', 'rpc.aborted', 'connection.lost', 'connection.closed', 'protocol.malformed' or
 * 'protocol.too-large' where the conversation failed.
 */
export class RegistrationClient {
  /** Settles when the conversation is over, for whatever reason; never rejects. */
  readonly closed: Promise<void>;
  readonly #session: RpcSession;
  readonly #timeoutMs: number;
  readonly #figures: RpcFigures | undefined;

  /** Takes the stream over. */
  constructor(stream: Duplex, options: RegistrationClientOptions) {
    this.#session = new RpcSession(stream);
    this.#timeoutMs = options.timeoutMs;
    this.#figures = options.figures;
    this.closed = this.#session.closed.then(() => undefined);
  }

  /**
   * Rejects with 'registration.duplicate', 'credentials.refused', or 'registration.refused' with the details
   * `retryable` and `retryAfterMs`; a connection id that is not 16 bytes is 'protocol.malformed'.
   */
  registerConnection(request: RegistrationRequest): Promise<ConnectionDetails> {
    return this.#counted(methods.register, this.#register(request));
  }

  async #register(request: RegistrationRequest): Promise<ConnectionDetails> {
    const result = await this.#session
      .call(methods.register, payload => encodeRegisterParams(payload, request), decodeRegisterResults, this.#timeoutMs)
      .catch((error: unknown) => {
        if (!isPosternError(error, 'rpc.exception')) throw error;
        throw refused({ cause: error.message, retryAfterMs: 0, shouldRetry: false });
      });
    if ('error' in result) throw refused(result.error);
    return result.details;
  }

  /** `config`: UTF-8 JSON of docs/protocol/edge-protocol.md §8.4. Also rejects with 'rpc.exception'. */
  async updateLocalConfiguration(config: Uint8Array): Promise<void> {
    const params = (payload: StructWriter): void => encodeLocalConfigurationParams(payload, config);
    const call = this.#session.call(methods.configure, params, nothing, this.#timeoutMs);
    await this.#counted(methods.configure, call);
  }

  /** Asks the edge to send nothing new here. Also rejects with 'rpc.exception'. */
  async unregisterConnection(timeoutMs: number): Promise<void> {
    const call = this.#session.call(methods.unregister, encodeNothing, nothing, timeoutMs);
    await this.#counted(methods.unregister, call);
  }

  /** Ends the conversation in order, and the stream with it. Idempotent. */
  close(): void {
    this.#session.close();
  }

  #counted<T>({ name }: RpcMethod, call: Promise<T>): Promise<T> {
    return this.#figures?.watch('registration', name, call) ?? call;
  }
}

/** The error that a refusal means. Matching its text is what the protocol defines. */
function refused(refusal: RegistrationRefusal): PosternError {
  const { cause, retryAfterMs, shouldRetry } = refusal;
  const details = { retryable: shouldRetry, retryAfterMs };
  if (cause === duplicateConnectionCause)
    return new PosternError('registration.duplicate', 'The edge has this connection registered already', { details });
  const code = cause.includes('Unauthorized') ? 'credentials.refused' : 'registration.refused';
  return new PosternError(code, `The edge refused the registration: ${cause === '' ? 'no reason given' : cause}`, {
    details,
  });
}

function nothing(_results: StructReader): void {
  // A method without results; that it returned is all there is to know.
}
