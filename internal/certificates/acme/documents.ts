// The documents of an ACME authority, checked as they come in. Source: RFC 8555 §7.1, RFC 9773 §4.2.

import * as z from 'zod';

/** Where the authority says something is. Never in the clear: RFC 8555 §6.1. */
const url = z.url({ protocol: /^https$/ }).max(2_048);
/** Names of one order are a few; the bounds keep an answer of 64 KiB from becoming work. */
const maxItems = 100;

export const directorySchema = z.object({
  newNonce: url,
  newAccount: url,
  newOrder: url,
  renewalInfo: url.optional(),
  meta: z.object({ externalAccountRequired: z.boolean().optional(), termsOfService: z.string().optional() }).optional(),
});
export type Directory = z.infer<typeof directorySchema>;

export const problemSchema = z.object({
  type: z.string().max(200).optional(),
  detail: z.string().optional(),
});

const problem = problemSchema.optional();

export const orderSchema = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  authorizations: z.array(url).max(maxItems),
  finalize: url,
  certificate: url.optional(),
  error: problem,
});
export type Order = z.infer<typeof orderSchema>;

export const challengeSchema = z.object({
  type: z.string(),
  url,
  /** It goes into paths, names and logs: nothing but base64url, RFC 8555 §8. */
  token: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,256}$/)
    .optional(),
  status: z.string().optional(),
  error: problem,
});
export type Challenge = z.infer<typeof challengeSchema>;

export const authorizationSchema = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: z.object({ type: z.string(), value: z.string().max(255) }),
  challenges: z.array(challengeSchema).max(maxItems),
});
export type Authorization = z.infer<typeof authorizationSchema>;

export const renewalInfoSchema = z.object({
  suggestedWindow: z.object({ start: z.iso.datetime({ offset: true }), end: z.iso.datetime({ offset: true }) }),
});
