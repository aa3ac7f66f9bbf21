// The general library (capnp-es, from the same schemas) as an independent reader and writer of the messages that our own
// codecs handle. Only for tests and the benchmark: it must not see bytes of strangers, because reading changes and grows
// its messages.

import * as capnp from 'capnp-es';
import {
  ConnectRequest,
  ConnectResponse,
  type Metadata,
} from '../../internal/wire/generated/quic_metadata_protocol.ts';
import {
  type ConnectionOptions,
  RegistrationServer_RegisterConnection$Params as RegisterParams,
} from '../../internal/wire/generated/tunnelrpc.ts';
import type { RegistrationRequest } from '../../internal/wire/rpc/registration.ts';
import { decodeUuid, encodeUuid } from '../../internal/wire/rpc/uuid.ts';
import type { ConnectRequest as OurRequest } from '../../internal/wire/stream/connect-request.ts';
import type { ConnectResponse as OurResponse } from '../../internal/wire/stream/connect-response.ts';

const types = ['http', 'websocket', 'tcp'] as const;

export function oracleEncodeRequest(request: OurRequest): Buffer {
  const message = new capnp.Message();
  const root = message.initRoot(ConnectRequest);
  root.dest = request.dest;
  root.type = types.indexOf(request.type) as 0 | 1 | 2;
  writeMetadata(root._initMetadata(request.metadata.length / 2), request.metadata);
  return Buffer.from(message.toArrayBuffer());
}

export function oracleDecodeRequest(bytes: Buffer): OurRequest {
  const root = new capnp.Message(bytes, false).getRoot(ConnectRequest);
  return { dest: root.dest, type: types[root.type] ?? 'http', metadata: readMetadata(root.metadata) };
}

export function oracleEncodeResponse(response: OurResponse): Buffer {
  const message = new capnp.Message();
  const root = message.initRoot(ConnectResponse);
  root.error = response.error;
  writeMetadata(root._initMetadata(response.metadata.length / 2), response.metadata);
  return Buffer.from(message.toArrayBuffer());
}

export function oracleDecodeResponse(bytes: Buffer): OurResponse {
  const root = new capnp.Message(bytes, false).getRoot(ConnectResponse);
  return { error: root.error, metadata: readMetadata(root.metadata) };
}

/** The parameters of registerConnection as the root of a message. */
export function oracleEncodeRegistration(request: RegistrationRequest): Buffer {
  const message = new capnp.Message();
  const root = message.initRoot(RegisterParams);
  root.connIndex = request.connIndex;
  const auth = root._initAuth();
  auth.accountTag = request.accountTag;
  auth._initTunnelSecret(request.tunnelSecret.length).copyBuffer(request.tunnelSecret);
  root._initTunnelId(16).copyBuffer(encodeUuid(request.tunnelId));
  const options: ConnectionOptions = root._initOptions();
  const client = options._initClient();
  client._initClientId(16).copyBuffer(encodeUuid(request.clientId));
  const features = client._initFeatures(request.features.length);
  for (const [index, feature] of request.features.entries()) features.set(index, feature);
  client.version = request.version;
  client.arch = request.arch;
  options._initOriginLocalIp(request.originLocalIp.length).copyBuffer(request.originLocalIp);
  options.replaceExisting = request.replaceExisting;
  options.compressionQuality = request.compressionQuality;
  options.numPreviousAttempts = request.numPreviousAttempts;
  return Buffer.from(message.toArrayBuffer());
}

export function oracleDecodeRegistration(bytes: Buffer): RegistrationRequest {
  const root = new capnp.Message(bytes, false).getRoot(RegisterParams);
  const client = root.options.client;
  return {
    accountTag: root.auth.accountTag,
    tunnelSecret: Uint8Array.from(root.auth.tunnelSecret.toUint8Array()),
    tunnelId: decodeUuid(root.tunnelId.toUint8Array()),
    connIndex: root.connIndex,
    clientId: decodeUuid(client.clientId.toUint8Array()),
    features: client.features.toArray(),
    version: client.version,
    arch: client.arch,
    originLocalIp: Uint8Array.from(root.options.originLocalIp.toUint8Array()),
    replaceExisting: root.options.replaceExisting,
    compressionQuality: root.options.compressionQuality,
    numPreviousAttempts: root.options.numPreviousAttempts,
  };
}

function writeMetadata(list: capnp.List<Metadata>, metadata: readonly string[]): void {
  for (let index = 0; index + 1 < metadata.length; index += 2) {
    const entry = list.get(index / 2);
    entry.key = metadata[index] ?? '';
    entry.val = metadata[index + 1] ?? '';
  }
}

function readMetadata(list: capnp.List<Metadata>): string[] {
  const metadata: string[] = [];
  for (let index = 0; index < list.length; index += 1) {
    const entry = list.get(index);
    metadata.push(entry.key, entry.val);
  }
  return metadata;
}
