// HTTP/2 parameters of both ends. Source: spec edge-protocol §10.1; RFC 9113 §6.5.
//
// The receive window of a stream is 1 MiB, as over QUIC: 20 MB/s at a round trip of 50 ms, and what a stalled reader can
// hold (docs/flow-control.md). The connection window is credited on arrival by Node, so that one stalled stream does not
// stop the others; 32 MiB let many bulk streams run at once.

import type { SecureServerOptions, Settings } from 'node:http2';

export const streamWindowBytes = 1 << 20;
export const connectionWindowBytes = 32 << 20;

/** Streams the edge may open at once on one connection; past that it picks another connection. */
export const maxStreams = 16_384;

/** Limit for one header list, as the recorded connector announces it (1 MiB and a little). */
const maxHeaderListBytes = 1_048_896;

const settings: Settings = {
  initialWindowSize: streamWindowBytes,
  maxConcurrentStreams: maxStreams,
  maxHeaderListSize: maxHeaderListBytes,
  headerTableSize: 4096,
};

/** Options that Node's HTTP/2 sessions of both ends share. */
const common = {
  maxHeaderListPairs: 4096,
  maxSendHeaderBlockLength: maxHeaderListBytes,
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

export const connectorOptions: SecureServerOptions = { ...common, settings };
export const edgeOptions = { ...common, settings: { ...settings, enablePush: false } } as const;
