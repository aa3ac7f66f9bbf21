// The answer of a quick-tunnel service. Source: docs/protocol/commands-and-api.md §10. Ours adds where the edge is, so
// that the connector needs no flag; a stock connector ignores those keys.

import * as z from 'zod';
import { uuidSchema } from './common.ts';

export const quickTunnelSchema = z.object({
  id: uuidSchema,
  name: z.string().default(''),
  hostname: z.string().min(1).max(253),
  account_tag: z.string().min(1).max(256),
  /** Base64. */
  secret: z.string().min(1).max(2048),
  /** The public URL, when it is not https://<hostname>. */
  postern_url: z.string().max(2048).optional(),
  postern_edge: z.array(z.string().max(262)).max(32).optional(),
  postern_ca_pin: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  postern_shared_port: z.int().min(1).max(65_535).optional(),
});
export type ApiQuickTunnel = z.output<typeof quickTunnelSchema>;

export const quickTunnelAnswerSchema = z.object({ result: quickTunnelSchema });
