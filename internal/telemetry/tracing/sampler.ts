// Whether a trace is recorded, by the samplers that OpenTelemetry names in OTEL_TRACES_SAMPLER.

import type { TraceContext } from './trace-context.ts';

export const samplerNames = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
export type SamplerName = (typeof samplerNames)[number];

export interface SamplerSettings {
  readonly name: SamplerName;
  /** Share of traces, 0 to 1; for those with `traceidratio`. */
  readonly ratio: number;
}

/** Decides for a span in the trace `traceId`. */
export type Sampler = (traceId: string, parent: TraceContext | undefined) => boolean;

export function createSampler({ name, ratio }: SamplerSettings): Sampler {
  const isParentBased = name.startsWith('parentbased_');
  const root = rootSampler(isParentBased ? name.slice('parentbased_'.length) : name, ratio);
  return (traceId, parent) => (isParentBased && parent !== undefined ? parent.isSampled : root(traceId));
}

function rootSampler(name: string, ratio: number): (traceId: string) => boolean {
  switch (name) {
    case 'always_off':
      return () => false;
    case 'traceidratio':
      // Every program decides alike: the last 56 bits are random in any trace id (W3C Trace Context, level 2).
      return traceId => Number.parseInt(traceId.slice(18), 16) >= 2 ** 56 * (1 - ratio);
    default:
      return () => true;
  }
}
