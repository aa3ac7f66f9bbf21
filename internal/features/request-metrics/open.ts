// Metrics of visitors' requests by host as a feature of an edge. A host is a route's name as its owner wrote it, such as
// `app.example.com` or `*.example.com`: no label comes from what a visitor sent.

import { type HostFigures, HostTable, hostMetrics } from '../../telemetry/host-figures.ts';
import type { MetricFamily } from '../../telemetry/metrics.ts';
import type { BodyBytes, ResponseEnd, ResponseObserver } from '../../visitors/observed-response.ts';
import { failedHopHeader } from '../../visitors/problem.ts';
import type { HostnameTable } from '../../visitors/routing/hostname-table.ts';
import type { VisitorStep } from '../../visitors/visitor.ts';

export interface RequestMetrics extends AsyncDisposable {
  readonly steps: readonly VisitorStep[];
  readonly metrics: readonly MetricFamily[];
}

/** Opens nothing that must be closed. */
export function openRequestMetrics({ hostnames }: { readonly hostnames: HostnameTable }): RequestMetrics {
  const hosts = new HostTable();
  const step: VisitorStep = (request, response, next) => {
    response.observe(new RequestWatch(hosts.of(hostnames.routeOf(request.host)?.hostname)));
    next(request, response);
  };
  return {
    steps: [step],
    metrics: hostMetrics('postern', () => {
      hosts.keep(host => hostnames.has(host));
      return hosts.all();
    }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** One request, from its arrival at the edge. */
class RequestWatch implements ResponseObserver {
  readonly #figures: HostFigures;
  readonly #startMs = performance.now();
  #headMs = 0;
  #status = 0;

  constructor(figures: HostFigures) {
    this.#figures = figures;
  }

  carried(): void {
    this.#figures.connect.observe((performance.now() - this.#startMs) / 1_000);
  }

  head<List extends readonly string[]>(status: number, headers: List): List {
    this.#headMs = performance.now();
    this.#status = status;
    // What the edge answers itself because a connector or an origin was not to be had.
    if (status >= 500 && headers.includes(failedHopHeader)) this.#figures.errors += 1;
    return headers;
  }

  ended(how: ResponseEnd, { bytesUp, bytesDown }: BodyBytes): void {
    if (how === 'failed') this.#figures.errors += 1;
    this.#figures.ended(this.#startMs, this.#headMs, this.#status, bytesUp, bytesDown);
  }
}
