// What is counted of HTTP requests for each host, the same at the edge and at the connector. Hosts are names that the owner
// of a tunnel wrote down, routes or rules, never what a visitor sent; beyond a bound all others count as `other`.
// Names: those of the published dashboards for cloudflared by host ("Cloudflare Tunnel Traffic by Hostname").

import { counter, Histogram, type HistogramSample, histogram, type MetricFamily } from './metrics.ts';

/** In seconds: Prometheus's own buckets, and two more for reports and long polls. */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** In bytes: 256, and each time sixteen times more, up to 256 MiB. */
const sizeBounds = [256, 4_096, 65_536, 1_048_576, 16_777_216, 268_435_456];
/** By the first digit of the status. */
const statusNames = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];
/** Hosts told apart, at some 1 KB each and some hundred lines of a scrape. */
export const maxHosts = 200;
const otherHost = 'other';

/** Of one host. Whoever serves a request adds to it. */
export class HostFigures {
  readonly host: string;
  /** Requests by class of their status; the first is for those that ended without an answer. */
  readonly statuses = new Float64Array(statusNames.length);
  /** Requests that the tunnel could not serve, or whose answer broke off. */
  errors = 0;
  /** From a request's arrival to the end of its answer. */
  readonly request = new Histogram(durationBounds);
  /** From the head of the answer to its end. */
  readonly response = new Histogram(durationBounds);
  /** Until there was a connection for the request. */
  readonly connect = new Histogram(durationBounds);
  /** From a request's arrival to the head of its answer. */
  readonly header = new Histogram(durationBounds);
  readonly requestBody = new Histogram(sizeBounds);
  readonly responseBody = new Histogram(sizeBounds);

  constructor(host: string) {
    this.host = host;
  }

  /**
   * Counts a request that is over. Times are those of `performance.now()`; `headMs` and `status` are 0 when no head was sent.
   */
  ended(startMs: number, headMs: number, status: number, bytesUp: number, bytesDown: number): void {
    const nowMs = performance.now();
    const at = status < 600 ? Math.floor(status / 100) : 0;
    this.statuses[at] = (this.statuses[at] ?? 0) + 1;
    this.request.observe((nowMs - startMs) / 1_000);
    if (headMs !== 0) {
      this.header.observe((headMs - startMs) / 1_000);
      this.response.observe((nowMs - headMs) / 1_000);
    }
    this.requestBody.observe(bytesUp);
    this.responseBody.observe(bytesDown);
  }
}

export class HostTable {
  readonly #hosts = new Map<string, HostFigures>();
  readonly #other = new HostFigures(otherHost);

  /** `host`: a name that an owner wrote, undefined for none. Those beyond `maxHosts` share one. */
  of(host: string | undefined): HostFigures {
    if (host === undefined) return this.#other;
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    if (this.#hosts.size >= maxHosts) return this.#other;
    const figures = new HostFigures(host);
    this.#hosts.set(host, figures);
    return figures;
  }

  /** Forgets hosts that are no more, so that others get their place. */
  keep(isThere: (host: string) => boolean): void {
    for (const host of this.#hosts.keys()) if (!isThere(host)) this.#hosts.delete(host);
  }

  all(): readonly HostFigures[] {
    return [...this.#hosts.values(), this.#other];
  }
}

/** Families named `<prefix>_host_…`; `hosts` is asked at every scrape. */
export function hostMetrics(prefix: string, hosts: () => readonly HostFigures[]): readonly MetricFamily[] {
  const each = (read: (figures: HostFigures) => Histogram) => (): readonly HistogramSample[] =>
    hosts().map(figures => [{ host: figures.host }, read(figures)]);
  const family = (name: string, help: string, read: (figures: HostFigures) => Histogram): MetricFamily =>
    histogram(`${prefix}_host_${name}`, help, ['host'], each(read));
  return [
    counter(`${prefix}_host_requests_total`, 'Requests by host and class of status', ['host', 'status'], () =>
      hosts().flatMap(({ host, statuses }) =>
        statusNames.flatMap((status, at) => {
          const count = statuses[at] ?? 0;
          return count === 0 ? [] : [[{ host, status }, count] as const];
        }),
      ),
    ),
    counter(`${prefix}_host_request_errors_total`, 'Requests that could not be served, by host', ['host'], () =>
      hosts().map(({ host, errors }) => [{ host }, errors]),
    ),
    family('request_duration_seconds', 'From a request to the end of its answer', figures => figures.request),
    family('connect_duration_seconds', 'Until there was a connection for the request', figures => figures.connect),
    family('header_duration_seconds', 'From a request to the head of its answer', figures => figures.header),
    family('response_duration_seconds', 'From the head of an answer to its end', figures => figures.response),
    family('request_body_size_bytes', 'Sizes of the bodies of requests', figures => figures.requestBody),
    family('response_body_size_bytes', 'Sizes of the bodies of answers', figures => figures.responseBody),
  ];
}
