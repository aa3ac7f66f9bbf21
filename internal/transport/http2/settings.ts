// HTTP/2 parameters of both ends. Source: docs/protocol/edge-protocol.md §10.1; RFC 9113 §6.5.
//
// The connection window is credited on arrival by Node, so that one stalled stream does not stop the others; 32 MiB let many
// bulk streams run at once.

import type { SecureServerOptions, Settings } from 'node:http2';
import { sentHeaderBytes, streamWindowBytes } from '../../net/http2/sizes.ts';
import { halfCloseSetting } from './held-end.ts';

export const connectionWindowBytes = 32 << 20;

/** Streams the edge may open at once on one connection; past that it picks another connection. */
export const maxStreams = 16_384;

/**
 * Largest header list announced to the peer, counted as RFC 9113 §6.5.2 does. nghttp2 ends the whole connection at a field
 * of more than 64 KiB as encoded (its NGHTTP2_HD_MAX_NV) and at more than eight CONTINUATION frames: a peer that keeps to
 * this limit reaches neither.
 */
export const receivedHeaderBytes = 65_536;

const settings: Settings = {
  initialWindowSize: streamWindowBytes,
  maxConcurrentStreams: maxStreams,
  maxHeaderListSize: receivedHeaderBytes,
  headerTableSize: 4096,
};

/** Options that Node's HTTP/2 sessions of both ends share. */
const common = {
  maxHeaderListPairs: 4096,
  maxSendHeaderBlockLength: sentHeaderBytes,
  // MiB for one session's bookkeeping and queued output; new streams are refused beyond.
  maxSessionMemory: 256,
  peerMaxConcurrentStreams: maxStreams,
  // A peer may reset many streams at once (a load test aborted, a page left); the default 1000 burst, 33/s would end the
  // whole connection then. Rapid-reset floods stay bounded by the stream limit.
  streamResetBurst: 10_000,
  streamResetRate: 1_000,
  // What a visitor repeats is the origin's to judge: Node would refuse a second Range or If-Match with an exception.
  strictSingleValueFields: false,
} as const;

export const connectorOptions: SecureServerOptions = {
  ...common,
  settings: { ...settings, customSettings: { [halfCloseSetting]: 1 } },
};
export const edgeOptions = {
  ...common,
  settings: { ...settings, enablePush: false },
  remoteCustomSettings: [halfCloseSetting],
};
