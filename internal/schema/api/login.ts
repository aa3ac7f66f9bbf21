// Documents of the device flow, by which programs log in to an edge. Source: RFC 8628 §3.2, §3.4, §3.5; RFC 6749 §5.1, §5.2.

import * as z from 'zod';

export const deviceAuthorizationSchema = z.object({
  device_code: z.string(),
  user_code: z.string().max(64),
  verification_uri: z.string(),
  verification_uri_complete: z.string().optional(),
  /** Seconds. */
  expires_in: z.number(),
  /** Seconds between two questions. */
  interval: z.number().default(5),
});
export type DeviceAuthorization = z.output<typeof deviceAuthorizationSchema>;

export const accessTokenSchema = z.object({ access_token: z.string().min(1).max(512) });

export const oauthErrorSchema = z.object({ error: z.string() });
