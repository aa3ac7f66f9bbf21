// Figures of the connections to the edge for the log and for a scrape: those of QUIC under the metric names that
// cloudflared's users know, protocol and group under one of ours. Source: docs/protocol/commands-and-api.md §14.

import type { Logger } from '../../telemetry/logger.ts';
import type { MetricFamily, MetricSample } from '../../telemetry/metrics.ts';
import type { ConnectionStats, ConnectorConnection, FrameCounts, PathDetails } from '../../transport/transport.ts';

export interface ConnectionFigures {
  readonly connIndex: number;
  readonly stats: ConnectionStats;
  /** Asked by a scrape alone; undefined where the transport has none. */
  readonly pathDetails: () => PathDetails | undefined;
}

/** For the ping whose answer is logged. */
const pingTimeoutMs = 5_000;

/** Logs the figures of a connection that has just registered, at debug level. Never rejects. */
export async function logFigures(connection: ConnectorConnection, log: Logger): Promise<void> {
  if (!log.isLevelEnabled('debug')) return;
  try {
    // HTTP/2 knows the round trip only after a ping.
    await connection.ping?.(pingTimeoutMs);
  } catch {
    // Whoever watches the connection finds out what is wrong with it; the other figures are still true.
  }
  // Its logger has the protocol already.
  const { protocol: _, ...figures } = figuresOf(connection.stats());
  log.debug(figures, 'Figures of the connection');
}

/** The part of the figures that says how the path is, rounded for the log. */
export function figuresOf(stats: ConnectionStats): Readonly<Record<string, string | number | undefined>> {
  return {
    protocol: stats.protocol,
    group: stats.group,
    rttMs: stats.rttMs === undefined ? undefined : Math.round(stats.rttMs * 100) / 100,
    lostPackets: stats.lostPackets,
    sentPackets: stats.sentPackets,
    congestionWindow: stats.congestionWindow,
    mtu: stats.mtu,
    openStreams: stats.openStreams,
    sentBytes: stats.sentBytes,
    receivedBytes: stats.receivedBytes,
  };
}

/** All families. `counts`: how many QUIC connections registered and ended so far. */
export function connectionMetrics(
  figures: () => readonly ConnectionFigures[],
  counts: { readonly quicOpened: number; readonly quicClosed: number },
): MetricFamily[] {
  const perQuic = (read: (stats: ConnectionStats) => number | undefined) => (): readonly MetricSample[] =>
    figures().flatMap(({ connIndex, stats }) => {
      const value = stats.protocol === 'quic' ? read(stats) : undefined;
      return value === undefined ? [] : [[{ conn_index: connIndex }, value] satisfies MetricSample];
    });
  const labelNames = ['conn_index'];
  const gauge = (name: string, help: string, read: (stats: ConnectionStats) => number | undefined): MetricFamily => ({
    kind: 'gauge',
    name: `quic_client_${name}`,
    help,
    labelNames,
    read: perQuic(read),
  });
  const counter = (name: string, help: string, read: (stats: ConnectionStats) => number | undefined): MetricFamily => ({
    kind: 'counter',
    name: `quic_client_${name}`,
    help,
    labelNames,
    read: perQuic(read),
  });
  const detail = (name: string, help: string, read: (of: PathDetails) => number | undefined): MetricFamily => ({
    kind: 'gauge',
    name: `quic_client_${name}`,
    help,
    labelNames,
    read: () =>
      figures().flatMap(({ connIndex, pathDetails }) => {
        const of = pathDetails();
        const value = of && read(of);
        return value === undefined ? [] : [[{ conn_index: connIndex }, value] satisfies MetricSample];
      }),
  });
  const frames = (name: string, help: string, read: (of: PathDetails) => FrameCounts): MetricFamily => ({
    kind: 'counter',
    name: `quic_client_${name}_frames`,
    help,
    labelNames: ['conn_index', 'frame_type'],
    read: () =>
      figures().flatMap(({ connIndex, pathDetails }) => {
        const of = pathDetails();
        const counts = of === undefined ? [] : read(of);
        return counts.map(([kind, count]): MetricSample => [{ conn_index: connIndex, frame_type: kind }, count]);
      }),
  });
  const total = (name: string, help: string, read: () => number): MetricFamily => ({
    kind: 'counter',
    name: `quic_client_${name}`,
    help,
    labelNames: [],
    read: () => [[{}, read()]],
  });
  return [
    total('total_connections', 'QUIC connections that registered', () => counts.quicOpened),
    total('closed_connections', 'Registered QUIC connections that ended', () => counts.quicClosed),
    gauge('min_rtt', 'Lowest round trip in milliseconds', stats => stats.minRttMs),
    gauge('smoothed_rtt', 'Smoothed round trip in milliseconds', stats => stats.rttMs),
    gauge('mtu', 'Largest UDP payload that passes, in bytes', stats => stats.mtu),
    gauge('congestion_window', 'Congestion window in bytes', stats => stats.congestionWindow),
    detail('latest_rtt', 'Last round trip in milliseconds', of => of.latestRttMs),
    detail('max_udp_payload', 'Largest UDP payload that the edge takes, in bytes', of => of.maxUdpPayload),
    detail(
      'congestion_state',
      'State of congestion control (0=slow_start, 1=congestion_avoidance, 2=application_limited, 3=recovery)',
      of => of.congestionState,
    ),
    frames('sent', 'Frames sent on the present connection', of => of.sentFrames),
    frames('received', 'Frames received on the present connection', of => of.receivedFrames),
    counter('sent_bytes', 'Bytes sent on the present connection', stats => stats.sentBytes),
    counter('receive_bytes', 'Bytes received on the present connection', stats => stats.receivedBytes),
    {
      kind: 'counter',
      name: 'quic_client_lost_packets',
      help: 'Packets lost on the present connection',
      // The engine does not tell packets that were overtaken from those that were late.
      labelNames: ['conn_index', 'reason'],
      read: () =>
        perQuic(stats => stats.lostPackets)().map(([labels, value]) => [{ ...labels, reason: 'unknown' }, value]),
    },
    {
      kind: 'gauge',
      name: 'postern_connection_info',
      help: 'Protocol and TLS key exchange group of each registered connection',
      labelNames: ['conn_index', 'protocol', 'group'],
      read: () =>
        figures().map(({ connIndex, stats: { group = '', protocol } }) => [
          { conn_index: connIndex, protocol, group },
          1,
        ]),
    },
    {
      kind: 'gauge',
      name: 'postern_connection_rtt_seconds',
      help: 'Round trip to the edge: smoothed over QUIC, of the last ping over HTTP/2',
      labelNames,
      read: () =>
        figures().flatMap(({ connIndex, stats: { rttMs } }) =>
          rttMs === undefined ? [] : [[{ conn_index: connIndex }, rttMs / 1_000] satisfies MetricSample],
        ),
    },
  ];
}
