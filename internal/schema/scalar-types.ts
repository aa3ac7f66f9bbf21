// The scalar types of configuration documents, in either dialect. The message of each is what would be right there.
// Source: docs/protocol/ingress-and-origin.md §2 (YAML: Go duration strings), §5 (JSON: integer
// seconds), §18.6.

import * as z from 'zod';
import { isPosternError } from '../errors/error.ts';
import type { Dialect } from './document-reader.ts';
import { parseDuration } from './duration.ts';

export const textType = z.string({ error: 'a text' });
export const booleanType = z.boolean({ error: 'true or false' });
export const integerType = z.int({ error: 'an integer' });
export const unsignedType = z.int({ error: 'an integer from 0 to 4294967295' }).min(0).max(0xffff_ffff);

/** The largest duration of cloudflared, in nanoseconds. */
const maxNs = 2 ** 63;

/** A duration of that dialect → milliseconds. */
export function durationType(dialect: Dialect): z.ZodType<number> {
  return dialect === 'json' ? jsonDuration : yamlDuration;
}

const yamlExample = 'a duration with a unit, such as "30s" or "1m30s"';
/** What editors are told: the form of Go, or a bare 0. */
const durationSchema = {
  anyOf: [{ type: 'string', pattern: '^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)(ns|us|µs|ms|s|m|h)' }, { const: 0 }],
} as const;
const yamlDuration = z
  .unknown()
  .meta(durationSchema)
  .transform((value, context): number => {
    // Zero needs no unit; every other bare number would be nanoseconds, which nobody means.
    if (value === 0) return 0;
    if (typeof value === 'number' && Number.isFinite(value)) {
      context.addIssue({ code: 'custom', message: `${yamlExample}: write "${value}s" for ${value} seconds` });
      return z.NEVER;
    }
    if (typeof value === 'string') {
      try {
        return parseDuration(value);
      } catch (error) {
        // The reason is in the text below: a value is either a duration or not.
        if (!isPosternError(error, 'config.invalid')) throw error;
      }
    }
    context.addIssue({ code: 'custom', message: yamlExample });
    return z.NEVER;
  });

const jsonDuration = z.unknown().transform((value, context): number => {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) * 1e9 < maxNs) return value * 1000;
  context.addIssue({ code: 'custom', message: 'a whole number of seconds, such as 30' });
  return z.NEVER;
});
