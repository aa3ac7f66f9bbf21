// Calls that the edge makes to a connector over an RPC stream: configuration and UDP sessions (datagram v2). The
// connector makes unregisterUdpSession in the other direction too. Source: docs/protocol/edge-protocol.md §6.2, §9.4.

import { PosternError } from '../../errors/error.ts';
import type { StructReader } from '../capnp/capnp-reader.ts';
import type { StructWriter } from '../capnp/capnp-writer.ts';

export const configurationManager = { interfaceId: 0xb48edfbdaa25db04n, updateConfiguration: 0 } as const;

export const sessionManager = {
  interfaceId: 0x839445a59fb01686n,
  registerUdpSession: 0,
  unregisterUdpSession: 1,
} as const;

export interface ConfigurationUpdate {
  /** int32; versions at or below the active one change nothing. */
  readonly version: number;
  /** UTF-8 JSON of docs/protocol/ingress-and-origin.md §5. */
  readonly config: Uint8Array;
}

export interface ConfigurationResult {
  readonly latestAppliedVersion: number;
  /** Why it was not applied; empty when it was. */
  readonly error: string;
}

export interface UdpSessionRequest {
  /** 16 raw bytes. */
  readonly sessionId: Uint8Array;
  /** 4 or 16 raw bytes; as decoded, of any length but 0. */
  readonly dstIp: Uint8Array;
  readonly dstPort: number;
  /** How long the session may be idle; 0 = the connector's default. */
  readonly closeAfterIdleMs: number;
  readonly traceContext: string;
}

export interface UdpSessionResult {
  /** Why the session was not made; empty when it was. */
  readonly error: string;
  readonly spans: Uint8Array;
}

export interface UdpSessionEnd {
  /** 16 raw bytes. */
  readonly sessionId: Uint8Array;
  /** Why it ended; only for logs. */
  readonly message: string;
}

const nanosecondsPerMs = 1_000_000n;

export function encodeUpdateParams(payload: StructWriter, update: ConfigurationUpdate): void {
  payload.struct(0, 1, 1).int32(0, update.version).data(0, update.config);
}

/** Copies the configuration. */
export function decodeUpdateParams(params: StructReader): ConfigurationUpdate {
  return { version: params.int32(0), config: Uint8Array.from(params.bytes(0)) };
}

export function encodeUpdateResults(payload: StructWriter, result: ConfigurationResult): void {
  payload.struct(0, 0, 1).struct(0, 1, 1).int32(0, result.latestAppliedVersion).text(0, result.error);
}

export function decodeUpdateResults(results: StructReader): ConfigurationResult {
  const response = results.struct(0);
  return { latestAppliedVersion: response.int32(0), error: response.text(0) };
}

export function encodeSessionParams(payload: StructWriter, request: UdpSessionRequest): void {
  payload
    .struct(0, 2, 3)
    .uint16(0, request.dstPort)
    .int64(8, BigInt(Math.round(request.closeAfterIdleMs)) * nanosecondsPerMs)
    .data(0, request.sessionId)
    .data(1, request.dstIp)
    .text(2, request.traceContext);
}

/**
 * Copies what it returns. Throws 'protocol.malformed' for ids of impossible length and when there is no address. An address
 * of impossible length is returned: it is answered in the result, not with an exception (docs/protocol/datagrams.md
 * §4.2).
 */
export function decodeSessionParams(params: StructReader): UdpSessionRequest {
  const dstIp = Uint8Array.from(params.bytes(1));
  if (dstIp.length === 0) throw new PosternError('protocol.malformed', 'The session has no destination address');
  const idleNs = params.int64(8);
  return {
    sessionId: sessionIdOf(params.bytes(0)),
    dstIp,
    dstPort: params.uint16(0),
    closeAfterIdleMs: idleNs > 0n ? Number(idleNs / nanosecondsPerMs) : 0,
    traceContext: params.text(2),
  };
}

export function encodeSessionResults(payload: StructWriter, result: UdpSessionResult): void {
  payload.struct(0, 0, 1).struct(0, 0, 2).text(0, result.error).data(1, result.spans);
}

export function decodeSessionResults(results: StructReader): UdpSessionResult {
  const response = results.struct(0);
  return { error: response.text(0), spans: Uint8Array.from(response.bytes(1)) };
}

export function encodeSessionEndParams(payload: StructWriter, end: UdpSessionEnd): void {
  payload.struct(0, 0, 2).data(0, end.sessionId).text(1, end.message);
}

export function decodeSessionEndParams(params: StructReader): UdpSessionEnd {
  return { sessionId: sessionIdOf(params.bytes(0)), message: params.text(1) };
}

function sessionIdOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 16)
    throw new PosternError('protocol.malformed', `A session id has 16 bytes, not ${bytes.length}`);
  return Uint8Array.from(bytes);
}
