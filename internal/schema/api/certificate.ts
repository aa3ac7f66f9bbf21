// Certificates of an edge as the API shows them.

import * as z from 'zod';
import { timeSchema } from './common.ts';

export const certificateSchema = z.object({
  names: z.array(z.string()),
  /** Where it comes from: an authority that the edge asks, or the edge's own CA or files. */
  source: z.enum(['authority', 'edge']),
  /** Common name, or all there is of the issuer; null while there is no certificate. */
  issuer: z.string().nullable(),
  issued_on: timeSchema.nullable(),
  expires_on: timeSchema.nullable(),
  /** When the authority was last asked. */
  last_attempt_on: timeSchema.nullable(),
  /** When it is asked again. */
  next_attempt_on: timeSchema.nullable(),
  /** Failed attempts in a row. */
  failures: z.int(),
  /** What the authority said the last time; null when it gave one. */
  problem: z.string().nullable(),
});
export type ApiCertificate = z.output<typeof certificateSchema>;
