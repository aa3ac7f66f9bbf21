// What a stock cloudflared 2026.8.2 spent on the machine that the design's figures were measured on, and what that would be
// here. Nothing of it was measured here: a scaled figure is an estimate.

import type { Protocol } from '../../internal/transport/transport.ts';

/** How this machine compares; see calibrate.ts. */
export interface Calibration {
  /** CPU time here for one unit of CPU time there. */
  readonly factor: number;
  /** What was measured, in words. */
  readonly text: string;
}

/** CPU-s per 10,000 small requests, per GB of HTTP bodies down and up. */
const http = {
  http2: { small: 0.6, down: 1.43, up: 0.48 },
  quic: { small: 1.01, down: 2.66, up: 2.7 },
} as const;
/** CPU-s per 100,000 echoed datagrams of 1,200 bytes, version 2. */
const datagrams = 1.28;

export interface StockFigure {
  readonly there: number;
  readonly scaled: number;
}

export function stockHttp(
  calibration: Calibration | undefined,
  protocol: Protocol,
  kind: 'small' | 'down' | 'up',
): StockFigure | undefined {
  if (protocol === 'memory') return undefined;
  return scale(calibration, http[protocol][kind]);
}

export function stockDatagrams(calibration: Calibration | undefined): StockFigure | undefined {
  return scale(calibration, datagrams);
}

function scale(calibration: Calibration | undefined, there: number): StockFigure | undefined {
  return calibration === undefined ? undefined : { there, scaled: there * calibration.factor };
}
