// What a process and its children have used, from /proc (Linux): CPU seconds and resident memory. Source: proc(5).

import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/PID/stat; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** User and system time so far, in seconds, of `pid` and its living children. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const member of family(pid)) {
    const stat = readFileSync(`/proc/${member}/stat`, 'latin1');
    // The second field is the program's name in parentheses, which may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** As `cpuSeconds`, but to the microsecond, and of `pid` alone: from the scheduler's own count of each living thread. */
export function exactCpuSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
  return nanoseconds / 1e9;
}

/** Resident memory of `pid` and its living children, in MB (10^6 bytes). */
export function residentMb(pid: number): number {
  let kib = 0;
  for (const member of family(pid)) {
    const status = readFileSync(`/proc/${member}/status`, 'latin1');
    kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  }
  return (kib * 1024) / 1e6;
}

/** Samples the memory of `pid` until stopped; `stop` gives the highest value seen, in MB. */
export function watchMemory(pid: number): { stop(): number } {
  let highest = residentMb(pid);
  const timer = setInterval(() => {
    highest = Math.max(highest, residentMb(pid));
  }, 50);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(highest, residentMb(pid));
    },
  };
}

/** Ids of the living children of `pid`. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}

function family(pid: number): number[] {
  return [pid, ...childrenOf(pid)];
}
