// Registration of a connection at its edge: the parameters and results of the RegistrationServer interface.
// Source: docs/protocol/edge-protocol.md §6.2 (layout), §8.1–8.2 (meaning).

import type { StructReader } from '../capnp/capnp-reader.ts';
import type { StructWriter } from '../capnp/capnp-writer.ts';
import { decodeUuid, encodeUuid } from './uuid.ts';

/** Interface id and method ordinals: what calls carry. */
export const registrationServer = {
  interfaceId: 0xf71695ec7fe85497n,
  registerConnection: 0,
  unregisterConnection: 1,
  updateLocalConfiguration: 2,
} as const;

/** What a connector says about itself when it registers one connection. */
export interface RegistrationRequest {
  readonly accountTag: string;
  /** Raw bytes. A secret: never in logs or errors. */
  readonly tunnelSecret: Uint8Array;
  /** UUID text. */
  readonly tunnelId: string;
  /** 0…255; which of the connector's connections this is. */
  readonly connIndex: number;
  /** UUID text, one for each run of a connector. */
  readonly clientId: string;
  /** See features.ts; unordered. */
  readonly features: readonly string[];
  readonly version: string;
  /** `<os>_<arch>`, e.g. `linux_amd64`. */
  readonly arch: string;
  /** 16 bytes (IPv4 as ::ffff:a.b.c.d) or none. */
  readonly originLocalIp: Uint8Array;
  readonly replaceExisting: boolean;
  readonly compressionQuality: number;
  /** Attempts before this one, 0…255. */
  readonly numPreviousAttempts: number;
}

/** What the edge answers to an accepted registration. */
export interface ConnectionDetails {
  /** UUID text of the connection. */
  readonly uuid: string;
  /** Free text naming the edge's place, e.g. `lhr01`. */
  readonly locationName: string;
  /** Whether the edge pushes the configuration. */
  readonly tunnelIsRemotelyManaged: boolean;
}

/** Why the edge refused. */
export interface RegistrationRefusal {
  /** `EDUPCONN` exactly for a duplicate; contains `Unauthorized` for wrong credentials. */
  readonly cause: string;
  readonly retryAfterMs: number;
  readonly shouldRetry: boolean;
}

export type RegistrationResult = { readonly details: ConnectionDetails } | { readonly error: RegistrationRefusal };

/** The whole cause of a refusal because the same connection is registered already. */
export const duplicateConnectionCause = 'EDUPCONN';

/** Most features read from a registration; known connectors send fewer than ten. */
const maxFeatures = 64;

export function encodeRegisterParams(payload: StructWriter, request: RegistrationRequest): void {
  const params = payload.struct(0, 1, 3).uint8(0, request.connIndex);
  params.struct(0, 0, 2).text(0, request.accountTag).data(1, request.tunnelSecret);
  params.data(1, encodeUuid(request.tunnelId));
  const options = params
    .struct(2, 1, 2)
    .bool(0, request.replaceExisting)
    .uint8(1, request.compressionQuality)
    .uint8(2, request.numPreviousAttempts);
  options
    .struct(0, 0, 4)
    .data(0, encodeUuid(request.clientId))
    .textList(1, request.features)
    .text(2, request.version)
    .text(3, request.arch);
  options.data(1, request.originLocalIp);
}

/** Copies what it returns. Throws 'protocol.malformed' for ids that are not 16 bytes. */
export function decodeRegisterParams(params: StructReader): RegistrationRequest {
  const auth = params.struct(0);
  const options = params.struct(2);
  const client = options.struct(0);
  const features: string[] = [];
  const list = client.list(1);
  for (let index = 0; index < list.length && index < maxFeatures; index += 1) features.push(list.text(index, 0));
  return {
    accountTag: auth.text(0),
    tunnelSecret: Uint8Array.from(auth.bytes(1)),
    tunnelId: decodeUuid(params.bytes(1)),
    connIndex: params.uint8(0),
    clientId: decodeUuid(client.bytes(0)),
    features,
    version: client.text(2),
    arch: client.text(3),
    originLocalIp: Uint8Array.from(options.bytes(1)),
    replaceExisting: options.bool(0),
    compressionQuality: options.uint8(1),
    numPreviousAttempts: options.uint8(2),
  };
}

export function encodeRegisterResults(payload: StructWriter, result: RegistrationResult): void {
  const response = payload.struct(0, 0, 1).struct(0, 1, 1);
  if ('error' in result) {
    const { cause, retryAfterMs, shouldRetry } = result.error;
    response
      .struct(0, 2, 1)
      .int64(0, BigInt(Math.round(retryAfterMs)) * 1_000_000n)
      .bool(64, shouldRetry)
      .text(0, cause);
    return;
  }
  const { uuid, locationName, tunnelIsRemotelyManaged } = result.details;
  response
    .uint16(0, 1)
    .struct(0, 1, 2)
    .bool(0, tunnelIsRemotelyManaged)
    .data(0, encodeUuid(uuid))
    .text(1, locationName);
}

/** An unset or unknown union tag is an error with an empty cause, as for cloudflared. */
export function decodeRegisterResults(results: StructReader): RegistrationResult {
  const response = results.struct(0);
  const body = response.struct(0);
  if (response.uint16(0) === 1)
    return {
      details: { uuid: decodeUuid(body.bytes(0)), locationName: body.text(1), tunnelIsRemotelyManaged: body.bool(0) },
    };
  if (response.uint16(0) !== 0) return { error: { cause: '', retryAfterMs: 0, shouldRetry: false } };
  const retryAfterNs = body.int64(0);
  return {
    error: {
      cause: body.text(0),
      retryAfterMs: retryAfterNs > 0n ? Number(retryAfterNs / 1_000_000n) : 0,
      shouldRetry: body.bool(64),
    },
  };
}

/** `config`: UTF-8 JSON, docs/protocol/edge-protocol.md §8.4. */
export function encodeLocalConfigurationParams(payload: StructWriter, config: Uint8Array): void {
  payload.struct(0, 0, 1).data(0, config);
}

/** A view of the message. */
export function decodeLocalConfigurationParams(params: StructReader): Buffer {
  return params.bytes(0);
}

/** Parameters and results of methods that have none: a struct of size zero. */
export function encodeNothing(payload: StructWriter): void {
  payload.struct(0, 0, 0);
}
