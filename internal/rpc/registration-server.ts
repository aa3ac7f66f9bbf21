// The edge's end of the control stream: serves RegistrationServer to one connector.
// Source: docs/protocol/edge-protocol.md §7.3, §8, §13.2. Who may register is the handler's business.

import type { Duplex } from 'node:stream';
import { PosternError } from '../errors/error.ts';
import type { StructReader } from '../wire/capnp/capnp-reader.ts';
import {
  decodeLocalConfigurationParams,
  decodeRegisterParams,
  encodeNothing,
  encodeRegisterResults,
  type RegistrationRequest,
  type RegistrationResult,
  registrationServer,
} from '../wire/rpc/registration.ts';
import type { WriteResults } from './answers.ts';
import { RpcSession } from './session.ts';

/**
 * What the edge does for one connection. A thrown error becomes an RPC exception without its text, except
 * 'credentials.refused', which the connector must be able to tell; the error itself goes to `onError`.
 */
export interface RegistrationHandler {
  register(request: RegistrationRequest): Promise<RegistrationResult>;
  /** UTF-8 JSON of docs/protocol/edge-protocol.md §8.4; the bytes are the handler's. */
  updateLocalConfiguration(config: Uint8Array): Promise<void>;
  /** Send nothing new to this connection. */
  unregister(): Promise<void>;
}

export interface RegistrationServerOptions {
  /** The conversation is ended when nothing is registered by then. Default 10 s: twice a connector's deadline. */
  readonly registerTimeoutMs?: number;
  /** Largest message accepted, in bytes. */
  readonly maxMessageBytes?: number;
  readonly onError?: (error: unknown) => void;
}

/** One served control stream. */
export interface RegistrationSession {
  /** Settles when the conversation is over; with the error if it did not end in order. Never rejects. */
  readonly closed: Promise<PosternError | undefined>;
  /** Ends the conversation, and the stream with it. Idempotent. */
  close(): void;
}

const defaultRegisterTimeoutMs = 10_000;

/** Takes the stream over. */
export function serveRegistration(
  stream: Duplex,
  handler: RegistrationHandler,
  options: RegistrationServerOptions = {},
): RegistrationSession {
  let state: 'new' | 'registering' | 'registered' = 'new';

  async function register(params: StructReader): Promise<WriteResults> {
    const request = decodeRegisterParams(params);
    if (state !== 'new') throw new PosternError('rpc.exception', 'this connection is registered already');
    state = 'registering';
    try {
      const result = await handler.register(request);
      state = 'details' in result ? 'registered' : 'new';
      return payload => encodeRegisterResults(payload, result);
    } catch (error) {
      state = 'new';
      if (!(error instanceof PosternError) || error.code !== 'credentials.refused') throw error;
      options.onError?.(error);
      throw new PosternError('rpc.exception', 'Unauthorized', { cause: error });
    }
  }

  async function configure(params: StructReader): Promise<WriteResults> {
    requireRegistered();
    await handler.updateLocalConfiguration(Uint8Array.from(decodeLocalConfigurationParams(params)));
    return encodeNothing;
  }

  async function unregister(): Promise<WriteResults> {
    requireRegistered();
    await handler.unregister();
    return encodeNothing;
  }

  function requireRegistered(): void {
    if (state !== 'registered') throw new PosternError('rpc.exception', 'this connection is not registered');
  }

  const session = new RpcSession(stream, {
    maxMessageBytes: options.maxMessageBytes,
    onServiceError: options.onError,
    service: (interfaceId, methodId, params) => {
      if (interfaceId !== registrationServer.interfaceId) return undefined;
      switch (methodId) {
        case registrationServer.registerConnection:
          return register(params);
        case registrationServer.updateLocalConfiguration:
          return configure(params);
        case registrationServer.unregisterConnection:
          return unregister();
        default:
          return undefined;
      }
    },
  });
  const timer = setTimeout(() => {
    if (state !== 'registered') session.close();
  }, options.registerTimeoutMs ?? defaultRegisterTimeoutMs);
  return {
    closed: session.closed.finally(() => clearTimeout(timer)),
    close: () => session.close(),
  };
}
