// What udp.ts and its edge process tell each other.

/** Sends `count` datagrams to the origin on loopback, at most `atOnce` under way, over `sessions` flows. */
export interface UdpCommand {
  readonly originPort: number;
  /** Port of a UDP proxy to the origin, on loopback; undefined = down the tunnel. */
  readonly proxyPort?: number;
  readonly count: number;
  readonly atOnce: number;
  readonly sessions: number;
}

export type UdpEvent =
  | { readonly event: 'listening'; readonly port: number; readonly caPem: string }
  | { readonly event: 'registered' }
  | { readonly event: 'result'; readonly result: UdpResult };

export interface UdpResult {
  readonly echoed: number;
  readonly lost: number;
  readonly elapsedMs: number;
}

export const payloadBytes = 1_200;
