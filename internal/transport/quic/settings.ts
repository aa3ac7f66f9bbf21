// Parameters of QUIC towards the other end, ours and stock. Source: docs/protocol/edge-protocol.md §9.1; everything
// else is the engine's default (internal/quic/settings.ts says how those were chosen).

import type { Tuning } from '../../quic/settings.ts';

/** The one application protocol. */
export const alpn = ['argotunnel'];

/** What a connector may set beyond the defaults. */
export type QuicTuning = Partial<Tuning>;

/** The recorded connector's timers: a lost edge is noticed within 5 s, and a NAT kept open. */
export const connectorTuning: QuicTuning = { idleTimeoutMs: 5_000, keepAliveMs: 1_000 };

/**
 * The lower of both ends' idle timeouts counts; the connector's pings keep the path alive. A connector opens one stream
 * for control and a short one per UDP session that ends.
 */
export const edgeTuning: QuicTuning = { idleTimeoutMs: 10_000, initialStreams: 128, maxStreams: 1024 };

/**
 * Application code of an orderly close, and of resets: stock peers use 0 for all (docs/protocol/edge-protocol.md
 * §9.3.4, §9.5).
 */
export const noCode = 0;
/** Our connector resets a stream with this when it drains: nothing was done with it. Stock edges see any reset. */
export const refusedCode = 1;

/**
 * The head of a stream must be complete this soon after its first bytes (as docs/protocol/edge-protocol.md §9.4 allows
 * RPC streams).
 */
export const headTimeoutMs = 5_000;
