// Quick tunnels as a feature of an edge: POST /tunnel gives a tunnel to whoever asks.
// Source: docs/protocol/commands-and-api.md §10.

import { openRoute } from '../../api/route.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import type { EdgeAddress } from '../../control-plane/handler-context.ts';
import { type ServedCall, serveCall } from '../../control-plane/served-call.ts';
import { encodeBase64 } from '../../credentials/base64.ts';
import { isPosternError } from '../../errors/error.ts';
import { nothingSchema } from '../../schema/api/common.ts';
import { quickTunnelSchema } from '../../schema/api/quick-tunnel.ts';
import { type QuickTunnelOptions, type QuickTunnels, startQuickTunnels } from './quick-tunnels.ts';

/** As stock connectors ask for one: no token, and a body that nobody reads. */
export const makeQuickTunnel = openRoute({
  method: 'POST',
  path: '/tunnel',
  op: 'make a quick tunnel',
  query: nothingSchema,
  body: nothingSchema,
  result: quickTunnelSchema,
  paged: false,
});

export interface QuickTunnelParts extends QuickTunnelOptions {
  /** Where connectors dial this edge. */
  readonly describeEdge: () => EdgeAddress;
}

export interface QuickTunnelFeature extends AsyncDisposable {
  readonly api: readonly ServedCall[];
  readonly quick: QuickTunnels;
}

/** Starts the service. Throws 'store.failed'. */
export async function openQuickTunnels(parts: QuickTunnelParts): Promise<QuickTunnelFeature> {
  const quick = await startQuickTunnels(parts);
  return {
    quick,
    api: [serveCall(makeQuickTunnel, (_input, { address }) => answer(quick, address, parts.describeEdge()))],
    [Symbol.asyncDispose]: async () => quick.close(),
  };
}

/** Makes a tunnel for an address. Throws `api.rate-limited`. */
async function answer(quick: QuickTunnels, address: string, edge: EdgeAddress) {
  try {
    const made = await quick.create(address);
    return {
      id: made.tunnelId,
      name: made.name,
      hostname: made.hostname,
      account_tag: made.accountTag,
      secret: encodeBase64(made.secret),
      postern_url: made.url,
      postern_edge: [...edge.addresses],
      postern_ca_pin: edge.caPin,
      postern_shared_port: edge.sharedPort,
    };
  } catch (error) {
    if (!isPosternError(error, 'api.rate-limited')) throw error;
    throw apiProblem('rateLimited', error.message);
  }
}
