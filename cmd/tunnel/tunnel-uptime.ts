// How long a tunnel, or a connector, has been connected, for people.

import { formatDuration } from '../../internal/schema/duration.ts';

/** `2h3m4s` since that time; `-` for none. */
export function formatUptime(since: string | null | undefined, nowMs = Date.now()): string {
  const ms = since ? Date.parse(since) : Number.NaN;
  return Number.isNaN(ms) ? '-' : formatDuration(Math.max(0, Math.floor((nowMs - ms) / 1_000)) * 1_000);
}
