// What ping.ts and the process in the connector's namespace tell each other.

/** Echo requests through the edge's API: `count` of them at an interval, or as many as there is time for. */
export type PingCommand =
  | { readonly kind: 'gentle'; readonly count: number; readonly intervalMs: number }
  | { readonly kind: 'busy'; readonly atOnce: number; readonly seconds: number };

export type PingEvent =
  /** The edge runs and knows the tunnel. */
  | { readonly event: 'ready'; readonly token: string }
  /** An echo has come back through the tunnel. */
  | { readonly event: 'reachable' }
  | { readonly event: 'result'; readonly result: PingResult };

export interface PingResult {
  /** Round trips as the edge measured them, which is what `postern ping` prints. */
  readonly rttsMs: readonly number[];
  readonly lost: number;
}
