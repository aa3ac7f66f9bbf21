// Settings of a QUIC endpoint, their defaults and how each was chosen. The native side checks the ranges.

import type { NativeSettings } from './native.ts';

export type TlsGroup = 'X25519MLKEM768' | 'P-256' | 'X25519';

/** A client sends shares of the first, and of X25519 which is part of it; a server without either asks again (HelloRetryRequest). */
const preferredGroups: readonly TlsGroup[] = ['X25519MLKEM768', 'P-256', 'X25519'];

export type CongestionControl = 'cubic' | 'bbr' | 'newreno';

/** What an endpoint is made with. An identity makes it accept connections, roots let it dial; it may do both. */
export interface EndpointOptions {
  /** `IP:port` to bind; port 0 takes any free one. */
  readonly bind: string;
  readonly alpn: readonly string[];
  /** PEM chain and key of the accepting side. */
  readonly identity?: { readonly cert: string; readonly key: string };
  /** PEM roots that a dialled peer's certificate must chain to. */
  readonly roots?: readonly string[];
  /** In place of roots: lower-case hex SHA-256 of the public key info (SPKI) of the CA that the presented chain ends in. */
  readonly caPin?: string | undefined;
  /** Take only X25519MLKEM768; otherwise it is preferred to P-256 and X25519. */
  readonly postQuantum?: boolean;
  /** TLS groups in place of those, best first; for tests. */
  readonly groups?: readonly TlsGroup[];
  readonly tuning?: Partial<Tuning>;
}

/** Sizes are bytes. */
export interface Tuning {
  readonly congestion: CongestionControl;
  /** Streams the peer may hold open at first; doubles up to `maxStreams` whenever half of it is in use. */
  readonly initialStreams: number;
  readonly maxStreams: number;
  /** Received bytes that may wait unread, a connection and a stream. */
  readonly connectionWindow: number;
  readonly streamWindow: number;
  /** Sent bytes kept until acknowledged, a connection. */
  readonly sendWindow: number;
  /** Datagrams that may wait, each way. */
  readonly datagramBuffer: number;
  readonly idleTimeoutMs: number;
  /** Ping after this long without sending; 0 = never. */
  readonly keepAliveMs: number;
  readonly initialMtu: number;
  /** Largest UDP payload that path MTU discovery tries; 0 = no discovery. */
  readonly maxMtu: number;
  /** Kernel buffers of the socket. */
  readonly socketBuffer: number;
  /** Handshakes in progress from which unverified addresses get a Retry; 0 = always. */
  readonly retryThreshold: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakesPerAddress: number;
}

const mebi = 1024 * 1024;

/**
 * A stream moves window / round trip: 20 MB/s at 50 ms, and holds so much when its reader stops. docs/flow-control.md weighs
 * the two.
 */
export const streamWindowBytes = mebi;

export const defaultTuning: Tuning = {
  // Measured through a relay, 20 ms round trip. On a path that loses at random (0.5–2 %) BBR moved 12–24 MB/s and CUBIC
  // 0.3–1.2; but at a bottleneck of 5 MB/s BBR, which its library calls experimental, sent so much that 16 % (queue of
  // 50 ms) to 55 % (10 ms) of its packets were dropped, CUBIC 2 % at much the same throughput. What a tunnel shares its
  // uplink with would pay for that, so CUBIC it is; 'bbr' is for paths known to lose at random.
  congestion: 'cubic',
  // The allowance is memory (about 85 bytes a stream allowed): a thousand costs nothing, a million 85 MB.
  initialStreams: 1024,
  maxStreams: 65_536,
  streamWindow: streamWindowBytes,
  // Never what stops a stream: as long as one reader that does not read takes credit from the others, some of them stop
  // everybody. What unread streams hold is bounded for the process instead (net/limits/held-streams.ts).
  connectionWindow: 4096 * mebi,
  sendWindow: 8 * mebi,
  // Some 800 full datagrams: 10 ms at 80,000 a second, while the event loop is busy elsewhere.
  datagramBuffer: mebi,
  idleTimeoutMs: 30_000,
  keepAliveMs: 0,
  // Every QUIC path carries 1,200; 1,452 fits Ethernet with IPv6 (docs/protocol/edge-protocol.md §9.1).
  initialMtu: 1200,
  maxMtu: 1452,
  socketBuffer: 4 * mebi,
  retryThreshold: 64,
  maxConnections: 16_384,
  // Many connectors may share one NAT, four connections each.
  maxConnectionsPerAddress: 1024,
  maxHandshakesPerAddress: 64,
};

/** Fills in the defaults. */
export function nativeSettings(options: EndpointOptions): NativeSettings {
  return {
    ...defaultTuning,
    ...options.tuning,
    bind: options.bind,
    cert: options.identity?.cert ?? '',
    key: options.identity?.key ?? '',
    roots: options.roots?.join('\n') ?? '',
    pin: options.caPin ?? '',
    alpn: options.alpn.join(','),
    groups: (options.groups ?? preferredGroups.slice(0, options.postQuantum === true ? 1 : undefined)).join(','),
  };
}
