// What the operating system knows of this process, under the names that Prometheus's own clients give it. File descriptors
// and virtual memory are told by Linux alone.

import { readdirSync, readFileSync } from 'node:fs';
import { counter, gauge, type MetricFamily, type MetricSample } from '../telemetry/metrics.ts';

/** Read at each scrape: a handful of short files that no disk stands behind. */
export function processMetrics(): MetricFamily[] {
  const startedAtS = Math.round((Date.now() - process.uptime() * 1_000) / 1_000);
  return [
    counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds', [], () => {
      const { user, system } = process.cpuUsage();
      return [[{}, (user + system) / 1e6]];
    }),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes', [], () => [
      [{}, process.memoryUsage.rss()],
    ]),
    gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes', [], () =>
      ofLinux(() => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024),
    ),
    gauge('process_virtual_memory_max_bytes', 'Maximum amount of virtual memory available in bytes', [], () =>
      ofLinux(() => limit('address space', noLimitBytes)),
    ),
    gauge('process_start_time_seconds', 'Start time of the process since the Unix epoch in seconds', [], () => [
      [{}, startedAtS],
    ]),
    gauge('process_open_fds', 'Number of open file descriptors', [], () =>
      ofLinux(() => readdirSync('/proc/self/fd').length),
    ),
    gauge('process_max_fds', 'Maximum number of open file descriptors', [], () =>
      ofLinux(() => limit('open files', Number.POSITIVE_INFINITY)),
    ),
    counter('process_network_receive_bytes_total', 'Bytes received in the network namespace of the process', [], () =>
      ofLinux(() => octets('InOctets')),
    ),
    counter('process_network_transmit_bytes_total', 'Bytes sent in the network namespace of the process', [], () =>
      ofLinux(() => octets('OutOctets')),
    ),
  ];
}

/** What Prometheus's own clients tell where there is no limit. */
const noLimitBytes = 2 ** 64;

function limit(name: string, unlimited: number): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const value = new RegExp(`^Max ${name}\\s+(\\w+)`, 'm').exec(limits)?.[1];
  return value === 'unlimited' ? unlimited : Number(value);
}

/** `IpExt:` begins two lines: names, and values in the same order. */
function octets(name: string): number {
  const [names, values] = readFileSync('/proc/self/net/netstat', 'latin1')
    .split('\n')
    .filter(line => line.startsWith('IpExt:'))
    .map(line => line.split(' '));
  return Number(values?.[names?.indexOf(name) ?? -1]);
}

function ofLinux(read: () => number): readonly MetricSample[] {
  if (process.platform !== 'linux') return [];
  try {
    const value = read();
    return Number.isFinite(value) ? [[{}, value]] : [];
  } catch {
    // A container may hide /proc; the other figures are still true.
    return [];
  }
}
