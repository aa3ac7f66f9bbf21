// What is counted of calls by RPC, at the end that calls and at the end that serves, under cloudflared's metric names. Handler
// and method are words of the protocol, so there are few. Source: docs/protocol/commands-and-api.md §14.

import { isPosternError } from '../errors/error.ts';
import {
  counter,
  Histogram,
  type HistogramSample,
  histogram,
  type MetricFamily,
  type MetricSample,
} from './metrics.ts';

/** In seconds: those of cloudflared, each three times the one before. */
const latencyBounds = [0.05, 0.15, 0.45, 1.35, 4.05];

/** Interfaces of the protocol, in the words of dashboards. */
export type RpcHandler = 'registration' | 'session' | 'config';

interface CallFigures {
  readonly handler: RpcHandler;
  /** As the protocol has it, `registerConnection`. */
  readonly method: string;
  operations: number;
  /** By code. */
  readonly failures: Map<string, number>;
  readonly latency: Histogram;
}

/** All calls of one end. */
export class RpcFigures {
  readonly #calls = new Map<string, CallFigures>();

  /** Counts a call: its start now, its failure and its time when it settles. Settles as `call` does. */
  async watch<T>(handler: RpcHandler, method: string, call: Promise<T>): Promise<T> {
    const figures = this.#of(handler, method);
    const startMs = performance.now();
    figures.operations += 1;
    try {
      return await call;
    } catch (error) {
      const code = isPosternError(error) ? error.code : 'internal';
      figures.failures.set(code, (figures.failures.get(code) ?? 0) + 1);
      throw error;
    } finally {
      figures.latency.observe((performance.now() - startMs) / 1_000);
    }
  }

  all(): readonly CallFigures[] {
    return [...this.#calls.values()];
  }

  #of(handler: RpcHandler, method: string): CallFigures {
    const known = this.#calls.get(method);
    if (known !== undefined) return known;
    const figures = { handler, method, operations: 0, failures: new Map(), latency: new Histogram(latencyBounds) };
    this.#calls.set(method, figures);
    return figures;
  }
}

/** `client`: calls that this end makes; `server`: those it serves. */
export function rpcMetrics(end: 'client' | 'server', figures: RpcFigures): readonly MetricFamily[] {
  const prefix = `cloudflared_rpc_${end}`;
  const names = ['handler', 'method'];
  const labels = ({ handler, method }: CallFigures) => ({ handler, method: snakeCase(method) });
  return [
    counter(`${prefix}_operations`, 'Calls by RPC', names, () =>
      figures.all().map(call => [labels(call), call.operations]),
    ),
    counter(`${prefix}_failures`, 'Calls by RPC that failed', names, () =>
      figures.all().map(call => [labels(call), sum(call.failures)]),
    ),
    histogram(`${prefix}_latency_secs`, 'Time of calls by RPC in seconds', names, () =>
      figures.all().map((call): HistogramSample => [labels(call), call.latency]),
    ),
  ];
}

/** Failed calls by the code of the error, but for registrations, which have a metric of their own. */
export function rpcFailures(figures: RpcFigures): readonly MetricSample[] {
  return figures
    .all()
    .filter(({ method }) => method !== 'registerConnection')
    .flatMap(({ method, failures }) =>
      [...failures].map(([error, count]): MetricSample => [{ error, rpcName: method }, count]),
    );
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
