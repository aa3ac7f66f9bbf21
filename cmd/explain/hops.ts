// What `postern explain` finds out, hop by hop, and how it is shown.

import { printableLine } from '../../internal/telemetry/printable.ts';

/** In the order in which a request passes them. */
export const hopNames = ['name', 'edge', 'route', 'tunnel', 'connection', 'connector', 'rule', 'origin'] as const;
export type HopName = (typeof hopNames)[number];

/** `passed`: the request came through, but nobody told how. `unreached`: it failed before. */
export type HopState = 'ok' | 'failed' | 'passed' | 'unreached';

export interface Hop {
  readonly hop: HopName;
  readonly state: HopState;
  /** What is known, in words. */
  readonly text: string;
  /** Of a hop that failed: what to do. */
  readonly remedy?: string | undefined;
}

export interface Explanation {
  readonly url: string;
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined;
  readonly tookMs: number | undefined;
  /** The edge's id of the request, where it told. */
  readonly requestId: string | undefined;
  readonly failed: HopName | null;
  /** All of them, in order. */
  readonly hops: readonly Hop[];
}

/** What was found about some hops. */
export type Findings = Partial<Record<HopName, { readonly text: string; readonly remedy?: string | undefined }>>;

/** Every hop with its state: those before the failing one let the request through, those behind it were not reached. */
export function judgeHops(findings: Findings, failed: HopName | null): readonly Hop[] {
  const failedAt = failed === null ? hopNames.length : hopNames.indexOf(failed);
  return hopNames.map((hop, at): Hop => {
    const found = findings[hop];
    if (at > failedAt) return { hop, state: 'unreached', text: found?.text ?? '' };
    if (at === failedAt) return { hop, state: 'failed', text: found?.text ?? '', remedy: found?.remedy };
    if (found === undefined) return { hop, state: 'passed', text: 'passed; an API credential would tell more' };
    return { hop, state: 'ok', text: found.text };
  });
}

const labels: Readonly<Record<HopState, string>> = { ok: 'ok', failed: 'FAILED', passed: 'ok', unreached: '-' };

/** Lines for a person, each ended by a newline. */
export function formatExplanation(explanation: Explanation): string {
  const { status, tookMs, requestId, url } = explanation;
  const answer =
    status === undefined
      ? 'no answer'
      : `${status} in ${(tookMs ?? 0).toFixed(0)} ms${requestId === undefined ? '' : `, request id ${requestId}`}`;
  // Parts come from the answer and from names that others chose.
  const lines = [printableLine(`${url}: ${answer}`), ''];
  for (const { hop, state, text, remedy } of explanation.hops) {
    lines.push(`  ${labels[state].padEnd(6)}  ${hop.padEnd(10)}  ${printableLine(text)}`.trimEnd());
    if (remedy !== undefined) lines.push(`                      what to do: ${printableLine(remedy)}`);
  }
  return `${lines.join('\n')}\n`;
}
