// What the on-ramps count, as families of metrics for a scrape. Every label has a bounded set of values: none holds an
// address, a name or a flow.

import type { FlowCounts } from '../private-network/flows/flow-counts.ts';
import type { PrivateNetwork } from '../private-network/private-network.ts';
import { counter, gauge, type MetricFamily, type MetricSample, type ReadSamples } from '../telemetry/metrics.ts';
import type { DnsCounters } from './dns/forwarder.ts';
import type { EchoService } from './echo/echo-service.ts';
import type { Admission } from './entrance/admission.ts';
import type { SocksServer } from './socks/server.ts';

export interface OnRampParts {
  readonly network: PrivateNetwork;
  readonly flows: FlowCounts;
  readonly echo: EchoService;
  readonly admissions: readonly Admission[];
  readonly socks: SocksServer | undefined;
  readonly dns: readonly { readonly vnet: string; readonly counters: DnsCounters }[];
}

export function onRampMetrics(parts: OnRampParts): MetricFamily[] {
  return [...flowMetrics(parts), ...datagramMetrics(parts), ...serviceMetrics(parts)];
}

function flowMetrics({ flows }: OnRampParts): MetricFamily[] {
  const labels = ['on_ramp', 'protocol'];
  const each = (read: (count: ReturnType<FlowCounts['flows']>[number]) => number): ReadSamples => {
    return () => flows.flows().map(count => [{ on_ramp: count.onRamp, protocol: count.protocol }, read(count)]);
  };
  return [
    gauge(
      'postern_flows',
      'Flows into private networks in progress',
      labels,
      each(count => count.active),
    ),
    counter(
      'postern_flows_started_total',
      'Flows into private networks begun',
      labels,
      each(count => count.started),
    ),
    counter('postern_flows_ended_total', 'Flows into private networks ended', [...labels, 'reason'], () =>
      flows
        .flows()
        .flatMap(({ onRamp, protocol, ended }) => samples(ended, reason => ({ on_ramp: onRamp, protocol, reason }))),
    ),
    counter('postern_flows_denied_total', 'Flows that were not allowed or not possible', ['on_ramp', 'reason'], () =>
      flows.denials().map(({ onRamp, reason, count }) => [{ on_ramp: onRamp, reason }, count]),
    ),
    counter('postern_flow_bytes_total', 'Payload of flows: up is from the visitor', [...labels, 'direction'], () =>
      flows
        .withBytesSoFar()
        .flatMap(({ onRamp, protocol, bytesUp, bytesDown }) =>
          samples({ up: bytesUp, down: bytesDown }, direction => ({ on_ramp: onRamp, protocol, direction })),
        ),
    ),
  ];
}

function datagramMetrics({ network }: OnRampParts): MetricFamily[] {
  const { udp, echo } = network;
  return [
    counter('postern_udp_flows_moved_total', 'UDP flows that changed to another connection', [], () => [
      [{}, udp.counters.moved],
    ]),
    counter(
      'postern_datagrams_dropped_total',
      'Datagrams of private networks dropped, by kind (udp, icmp) and reason',
      ['kind', 'reason'],
      () => {
        const { dropped, droppedPackets } = network.datagramTotals();
        return [
          ...samples({ ...dropped, waiting_full: udp.counters.droppedWaiting }, reason => ({ kind: 'udp', reason })),
          ...samples({ ...droppedPackets, unmatched: echo.counters.unmatched }, reason => ({ kind: 'icmp', reason })),
          ...samples(echo.counters.refused, reason => ({ kind: 'icmp', reason })),
        ];
      },
    ),
    counter('postern_datagrams_malformed_total', 'Datagrams of connectors that nothing decodes', ['reason'], () =>
      samples(network.datagramTotals().malformed, reason => ({ reason })),
    ),
    counter('postern_names_total', 'Host names asked for, by what came of it', ['outcome'], () => {
      const { cached, found, noAddress, noAnswer, refused } = network.names.counters;
      const outcomes = { cached, found, no_address: noAddress, no_answer: noAnswer, refused };
      return samples(outcomes, outcome => ({ outcome }));
    }),
    gauge('postern_names_cached', 'Host names kept with their addresses', [], () => [[{}, network.names.size]]),
    gauge('postern_names_pending', 'Host names being looked up', [], () => [[{}, network.names.pending]]),
  ];
}

function serviceMetrics({ admissions, dns, echo, socks }: OnRampParts): MetricFamily[] {
  const associations = socks?.associations;
  return [
    counter('postern_on_ramp_refusals_total', 'Visitors of SOCKS and HTTP proxy not admitted', ['reason'], () =>
      admissions.flatMap(({ refused }) => samples(refused, reason => ({ reason }))),
    ),
    gauge('postern_socks_associations', 'UDP associations of SOCKS clients', [], () => [
      [{}, associations?.active ?? 0],
    ]),
    counter('postern_socks_associations_total', 'UDP associations of SOCKS clients made', [], () => [
      [{}, associations?.total ?? 0],
    ]),
    counter('postern_socks_associations_refused_total', 'UDP associations refused at their limit', [], () => [
      [{}, socks?.refusedAssociations() ?? 0],
    ]),
    counter('postern_socks_datagrams_dropped_total', 'Datagrams of UDP associations dropped', ['reason'], () =>
      samples(associations?.dropped ?? {}, reason => ({ reason })),
    ),
    counter('postern_dns_queries_total', 'Queries that came to a DNS listener over UDP', ['vnet'], () =>
      dns.map(({ vnet, counters }) => [{ vnet }, counters.queries]),
    ),
    counter('postern_dns_outcomes_total', 'What came of those queries', ['vnet', 'outcome'], () =>
      dns.flatMap(({ vnet, counters: { answered, failed, dropped } }) =>
        samples({ answered, failed, dropped }, outcome => ({ vnet, outcome })),
      ),
    ),
    gauge('postern_echo_series', 'Series of echo requests (ping, traceroute)', [], () => [[{}, echo.size]]),
    counter('postern_echo_series_total', 'Series of echo requests begun', [], () => [[{}, echo.counters.series]]),
    counter('postern_echo_requests_total', 'Echo requests, by what came of them', ['result'], () =>
      samples(echo.counters.results, result => ({ result })),
    ),
  ];
}

/** A sample for each entry that was counted. */
function samples(
  counts: Readonly<Partial<Record<string, number>>>,
  labelsOf: (key: string) => MetricSample[0],
): MetricSample[] {
  return Object.entries(counts).flatMap(([key, count]) =>
    count === undefined ? [] : [[labelsOf(key), count] satisfies MetricSample],
  );
}
