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
    gauge('process_start_time_seconds', 'Start time of the process since the Unix epoch in seconds', [], () => [
      [{}, startedAtS],
    ]),
    gauge('process_open_fds', 'Number of open file descriptors', [], () =>
      ofLinux(() => readdirSync('/proc/self/fd').length),
    ),
    gauge('process_max_fds', 'Maximum number of open file descriptors', [], () =>
      ofLinux(() => Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1])),
    ),
  ];
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
