// Parts shared by the documents of the control-plane API. Source: docs/protocol/commands-and-api.md §9.1, §9.2.

import * as z from 'zod';
import { isPrintableLine } from '../../telemetry/printable.ts';
import { isUuid } from './id.ts';

/** A UUID in any letter case; lower case after parsing. */
export const uuidSchema = z
  .string()
  .refine(isUuid, 'must be a UUID')
  .transform(text => text.toLowerCase());

/** A name or a comment that people give and listings show on one line. */
export function lineSchema(maxLength: number) {
  return z.string().max(maxLength).refine(isPrintableLine, 'must not hold control characters');
}

/** RFC 3339 text. */
export const timeSchema = z.string();

/** Unset as null, absent, or Go's zero time. */
export const optionalTimeSchema = z
  .string()
  .nullish()
  .transform(text => (text === undefined || text === null || text.startsWith('0001-01-01T') ? null : text));

/** A query flag: `true` or `false` on the wire. */
export const queryFlagSchema = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0']).transform(text => text === 'true' || text === '1'),
]);

/** What a call without query or body has there. */
export const nothingSchema = z.undefined();

/** Largest page a listing gives at once; clients ask for less or page on. */
export const maxPerPage = 1000;

/** Query keys of paged listings. */
export const pageQuery = {
  page: z.coerce.number().int().min(1).max(1_000_000).default(1),
  per_page: z.coerce.number().int().min(0).max(1_000_000).default(0),
} as const;

const apiErrorSchema = z.object({
  /** A number, or a numeric string from some servers. */
  code: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]),
  message: z.string(),
});

const resultInfoSchema = z.object({
  count: z.number().default(0),
  page: z.number().default(0),
  per_page: z.number().default(0),
  total_count: z.number().default(0),
});

/** The envelope around every answer; `result` is read by the call's own schema. */
export const envelopeSchema = z.object({
  success: z.boolean().default(false),
  errors: z.array(apiErrorSchema).nullish(),
  messages: z.array(z.string()).nullish(),
  result: z.unknown().optional(),
  result_info: resultInfoSchema.nullish(),
});
