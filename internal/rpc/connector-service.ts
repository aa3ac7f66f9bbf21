// The connector's end of an RPC stream that the edge opens: configuration pushes and UDP sessions (datagram v2).
// Source: docs/protocol/edge-protocol.md §7.4 (served at most 5 s), §9.4; datagrams.md for the sessions.

import type { Duplex } from 'node:stream';
import type { PosternError } from '../errors/error.ts';
import type { RpcFigures, RpcHandler } from '../telemetry/rpc-figures.ts';
import {
  type ConfigurationResult,
  type ConfigurationUpdate,
  configurationManager,
  decodeSessionEndParams,
  decodeSessionParams,
  decodeUpdateParams,
  encodeSessionResults,
  encodeUpdateResults,
  sessionManager,
  type UdpSessionEnd,
  type UdpSessionRequest,
} from '../wire/rpc/connector-calls.ts';
import { encodeNothing } from '../wire/rpc/registration.ts';
import { RpcSession } from './session.ts';

/** UDP sessions of datagram v2. A thrown error becomes an RPC exception without its text; see `onError`. */
export interface SessionService {
  /** The text of the error when the session cannot be made, else ''. */
  registerUdpSession(request: UdpSessionRequest): Promise<string>;
  unregisterUdpSession(end: UdpSessionEnd): Promise<void>;
}

/** All that the connector does for its edge by RPC. */
export interface ConnectorService extends SessionService {
  updateConfiguration(update: ConfigurationUpdate): Promise<ConfigurationResult>;
}

export interface ConnectorServiceOptions {
  /** How long one stream is served in all, in ms. Default 5000, as the recorded connector. */
  readonly timeoutMs?: number;
  /** Largest message accepted, in bytes. */
  readonly maxMessageBytes?: number;
  readonly onError?: (error: unknown) => void;
  /** Counts the calls. */
  readonly figures?: RpcFigures | undefined;
}

const defaultTimeoutMs = 5000;
const noSpans = new Uint8Array();

/**
 * Serves one stream, which it takes over, until the edge ends it or the time is over. The result settles then, with the
 * error if it did not end in order; it never rejects.
 */
export function serveConnector(
  stream: Duplex,
  handler: ConnectorService,
  options: ConnectorServiceOptions = {},
): Promise<PosternError | undefined> {
  const { figures } = options;
  const counted = <T>(of: RpcHandler, method: string, call: Promise<T>): Promise<T> =>
    figures?.watch(of, method, call) ?? call;
  const session = new RpcSession(stream, {
    maxMessageBytes: options.maxMessageBytes,
    onServiceError: options.onError,
    service: (interfaceId, methodId, params) => {
      if (interfaceId === configurationManager.interfaceId && methodId === configurationManager.updateConfiguration) {
        const call = handler.updateConfiguration(decodeUpdateParams(params));
        return counted('config', 'updateConfiguration', call).then(
          result => payload => encodeUpdateResults(payload, result),
        );
      }
      if (interfaceId !== sessionManager.interfaceId) return undefined;
      switch (methodId) {
        case sessionManager.registerUdpSession: {
          const call = handler.registerUdpSession(decodeSessionParams(params));
          return counted('session', 'registerUdpSession', call).then(
            error => payload => encodeSessionResults(payload, { error, spans: noSpans }),
          );
        }
        case sessionManager.unregisterUdpSession: {
          const call = handler.unregisterUdpSession(decodeSessionEndParams(params));
          return counted('session', 'unregisterUdpSession', call).then(() => encodeNothing);
        }
        default:
          return undefined;
      }
    },
  });
  const timer = setTimeout(() => session.close(), options.timeoutMs ?? defaultTimeoutMs);
  return session.closed.finally(() => clearTimeout(timer));
}
