// The edge's end of an RPC stream that it opened to a connector: pushes configurations, registers UDP sessions.
// Source: docs/protocol/edge-protocol.md §7.4 (a stream is served at most 5 s: open one for each call or short burst),
// §9.4.

import type { Duplex } from 'node:stream';
import {
  type ConfigurationResult,
  type ConfigurationUpdate,
  configurationManager,
  decodeSessionResults,
  decodeUpdateResults,
  encodeSessionEndParams,
  encodeSessionParams,
  encodeUpdateParams,
  sessionManager,
  type UdpSessionEnd,
  type UdpSessionRequest,
  type UdpSessionResult,
} from '../wire/rpc/connector-calls.ts';
import { RpcSession } from './session.ts';

const methods = {
  update: {
    interfaceId: configurationManager.interfaceId,
    methodId: configurationManager.updateConfiguration,
    name: 'updateConfiguration',
  },
  register: {
    interfaceId: sessionManager.interfaceId,
    methodId: sessionManager.registerUdpSession,
    name: 'registerUdpSession',
  },
  unregister: {
    interfaceId: sessionManager.interfaceId,
    methodId: sessionManager.unregisterUdpSession,
    name: 'unregisterUdpSession',
  },
} as const;

export interface ConnectorClientOptions {
  /** Deadline of each call. */
  readonly timeoutMs: number;
}

/**
 * All methods reject with 'rpc.timeout', 'rpc.exception', 'rpc.aborted', 'connection.lost', 'connection.closed',
 * 'protocol.malformed' or 'protocol.too-large'. What the connector refuses is in the results, not an error.
 */
export class ConnectorClient {
  /** Settles when the conversation is over; never rejects. */
  readonly closed: Promise<void>;
  readonly #session: RpcSession;
  readonly #timeoutMs: number;

  /** Takes the stream over. */
  constructor(stream: Duplex, options: ConnectorClientOptions) {
    this.#session = new RpcSession(stream);
    this.#timeoutMs = options.timeoutMs;
    this.closed = this.#session.closed.then(() => undefined);
  }

  updateConfiguration(update: ConfigurationUpdate): Promise<ConfigurationResult> {
    return this.#session.call(
      methods.update,
      payload => encodeUpdateParams(payload, update),
      decodeUpdateResults,
      this.#timeoutMs,
    );
  }

  registerUdpSession(request: UdpSessionRequest): Promise<UdpSessionResult> {
    return this.#session.call(
      methods.register,
      payload => encodeSessionParams(payload, request),
      decodeSessionResults,
      this.#timeoutMs,
    );
  }

  unregisterUdpSession(end: UdpSessionEnd): Promise<void> {
    return this.#session.call(
      methods.unregister,
      payload => encodeSessionEndParams(payload, end),
      () => undefined,
      this.#timeoutMs,
    );
  }

  /** Ends the conversation in order, and the stream with it. Idempotent. */
  close(): void {
    this.#session.close();
  }
}
