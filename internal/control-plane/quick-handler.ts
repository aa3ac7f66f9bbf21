// POST /tunnel: a quick tunnel for whoever asks. Source: docs/protocol/commands-and-api.md §10.

import type { IncomingMessage } from 'node:http';
import { encodeBase64 } from '../credentials/base64.ts';
import { isPosternError } from '../errors/error.ts';
import type { QuickTunnels } from '../features/quick-tunnels/quick-tunnels.ts';
import { countedAddress } from '../net/limits/rate-limiter.ts';
import type { ApiQuickTunnel } from '../schema/api-quick-tunnel.ts';
import { apiProblem } from './api-problem.ts';
import type { EdgeAddress } from './handler-context.ts';

/** Makes a tunnel for the request's address. Throws `api.rate-limited`, `api.invalid` or `api.not-found`. */
export async function answerQuickTunnel(
  request: IncomingMessage,
  quick: QuickTunnels,
  edge: EdgeAddress,
): Promise<{ status: number; result: ApiQuickTunnel }> {
  if (request.method !== 'POST') throw apiProblem('noRoute', 'A quick tunnel is asked for with POST');
  // A web page may send a plain form to loopback, but not this type without the browser asking us first.
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw apiProblem('invalid', 'Content-Type must be application/json');
  }
  request.resume();
  try {
    const made = await quick.create(countedAddress(request.socket.remoteAddress));
    return {
      status: 200,
      result: {
        id: made.tunnelId,
        name: made.name,
        hostname: made.hostname,
        account_tag: made.accountTag,
        secret: encodeBase64(made.secret),
        postern_url: made.url,
        postern_edge: [...edge.addresses],
        postern_ca_pin: edge.caPin,
      },
    };
  } catch (error) {
    if (!isPosternError(error, 'api.rate-limited')) throw error;
    throw apiProblem('rateLimited', error.message);
  }
}
