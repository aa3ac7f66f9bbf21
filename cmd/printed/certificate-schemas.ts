// What `edge certificates` prints as JSON; a part of schemas.ts.

import * as z from 'zod';

const time = z.iso.datetime();

export const certificateSchemas: Readonly<Record<string, z.ZodType>> = {
  'edge certificates': z.array(
    z.strictObject({
      names: z.array(z.string()),
      source: z.enum(['authority', 'edge']).describe('authority: asked for with --acme; edge: its own CA, or --cert'),
      issuer: z.string().nullable().describe('null while there is no certificate'),
      issued_on: time.nullable(),
      expires_on: time.nullable(),
      last_attempt_on: time.nullable(),
      next_attempt_on: time.nullable(),
      failures: z.int().describe('Failed attempts in a row'),
      problem: z.string().nullable().describe('What the authority said the last time; null when it gave a certificate'),
    }),
  ),
};
