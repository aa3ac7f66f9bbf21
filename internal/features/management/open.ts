// The management host as a feature of an edge: gives out access tokens by the API, and leads requests that bring one to a
// connector of the token's tunnel, which answers them itself. Source: docs/protocol/ingress-and-origin.md §17;
// docs/protocol/commands-and-api.md §9.3, §17.

import type { Duplex } from 'node:stream';
import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { requireTunnel } from '../../control-plane/handler-context.ts';
import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import { errorFields } from '../../errors/error.ts';
import { headerValue } from '../../net/http/header-list.ts';
import { defaultManagementHost } from '../../net/http/management-host.ts';
import { parseTunnelId } from '../../schema/api/id.ts';
import { type ManagementResource, managementResources } from '../../schema/api/management.ts';
import type { Store } from '../../store/contract/store.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { HandleVisitor, VisitorRequest, VisitorResponse, VisitorStep } from '../../visitors/visitor.ts';
import { type ManagementGrant, openManagementTokens } from './access-tokens.ts';

export interface ManagementParts {
  readonly stateDir: string;
  readonly store: Store;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  /** Host name of the requests; a route of that name leads nowhere. */
  readonly host: string;
  /** See FeatureParts. */
  readonly secureUrlOf: (hostname: string) => string;
}

export interface ManagementFeature extends AsyncDisposable {
  readonly steps: readonly VisitorStep[];
  readonly api: readonly ServedCall[];
}

/** What a connector tells that answers such requests. */
const featureName = 'management_logs';

/** What each kind of token opens; `admin` opens everything. */
const paths: Readonly<Record<Exclude<ManagementResource, 'admin'>, ReadonlySet<string>>> = {
  logs: new Set(['/ping', '/logs']),
  host_details: new Set(['/ping', '/host_details']),
};

/** Follows the store until it is disposed of. Throws 'store.failed'. */
export async function openManagement(parts: ManagementParts): Promise<ManagementFeature> {
  const { host, logger, store } = parts;
  const tokens = await openManagementTokens(parts.stateDir);

  /** Exchanges under way, each with the API token that they need. */
  const running = new Map<AbortController, string>();
  const cut = (isGone: (tokenId: string) => boolean): void => {
    for (const [controller, tokenId] of running) if (isGone(tokenId)) controller.abort();
  };
  const cutUnknown = async (): Promise<void> => {
    const known = new Set(await store.accounts.knownTokens([...new Set(running.values())]));
    cut(tokenId => !known.has(tokenId));
  };
  const unsubscribe = store.changes.subscribe(change => {
    if (change.kind === 'token-revoked') cut(tokenId => tokenId === change.tokenId);
    else if (change.kind === 'reset' && running.size > 0) {
      cutUnknown().catch((error: unknown) => logger.error(errorFields(error), 'Cannot check management requests'));
    }
  });

  const lead = async (request: VisitorRequest, response: VisitorResponse, next: HandleVisitor): Promise<void> => {
    const url = URL.parse(`http://edge${request.path}`);
    const token = url?.searchParams.get('access_token');
    if (url === null || token === null || token === undefined || token === '')
      return void refuse(request, response, 400, 'missing access_token query parameter');
    const grant = await tokens.verify(token);
    // Before the token is looked up: a revocation that comes meanwhile is heard of.
    const controller = new AbortController();
    if (grant !== undefined) {
      running.set(controller, grant.tokenId);
      response.observe({ ended: () => running.delete(controller) });
    }
    const isKnown = grant !== undefined && (await store.accounts.knownTokens([grant.tokenId])).length > 0;
    if (!isKnown) return void refuse(request, response, 401, 'access_token is invalid or has expired');
    if (grant.resource !== 'admin' && !paths[grant.resource].has(url.pathname))
      return void refuse(request, response, 403, `access_token is for ${grant.resource} only`);
    if (isForeignOrigin(request)) return void refuse(request, response, 403, 'origin not allowed');
    const target = await findConnector(parts, grant, url.searchParams.get('connector_id') ?? undefined);
    if (target === undefined) return void answer(request, response, 530, 'text/plain', 'No connector can be asked\n');
    const headers = withoutOrigin(request.headers);
    const { signal } = controller;
    if (signal.aborted) return void refuse(request, response, 401, 'access_token is invalid or has expired');
    response.observe({ upgraded: connection => endLater(connection, grant.expiresAtMs) });
    next({ ...request, host: defaultManagementHost, headers, target: { ...target, signal } }, response);
  };

  return {
    steps: [
      (request, response, next) => {
        if (!isHost(request.host, host)) {
          next(request, response);
          return;
        }
        lead(request, response, next).catch((error: unknown) => {
          logger.error(errorFields(error), 'A management request failed');
          answer(request, response, 500, 'text/plain', 'The edge failed\n');
        });
      },
    ],
    api: serveTable({
      async getManagementToken({ params }, caller) {
        const tunnel = await requireTunnel({ store }, caller, params.id);
        const resource = managementResources.find(known => known === params.resource);
        if (resource === undefined) {
          const known = managementResources.join(', ');
          throw apiProblem('invalid', `invalid resource '${params.resource}': must be one of: ${known}`);
        }
        const grant = {
          tunnelId: tunnel.id,
          accountTag: caller.accountTag,
          actor: caller.token.userId ?? caller.token.id,
          tokenId: caller.token.id,
          resource,
        };
        return tokens.issue(grant, parts.secureUrlOf(host), caller.token.expiresAtMs);
      },
    }),
    [Symbol.asyncDispose]: async () => unsubscribe(),
  };
}

function isHost(given: string, host: string): boolean {
  // Nearly every request is for another host, and of another length.
  return given.length >= host.length && given.toLowerCase().replace(/:\d*$/, '') === host;
}

/** A connector of the tunnel that answers such requests; undefined when there is none, or the tunnel is gone. */
async function findConnector(
  { registry, store }: ManagementParts,
  grant: ManagementGrant,
  connectorId: string | undefined,
): Promise<VisitorRequest['target']> {
  const tunnelId = parseTunnelId(grant.tunnelId);
  if (tunnelId === undefined) return undefined;
  const tunnel = await store.tunnels.get(grant.accountTag, tunnelId);
  if (tunnel === undefined || tunnel.deletedAtMs !== undefined) return undefined;
  const wanted = connectorId?.toLowerCase();
  const found = registry
    .connectionsOf(tunnelId)
    .find(({ clientId, features }) => features.includes(featureName) && (wanted ?? clientId) === clientId);
  return found && { tunnelId, clientId: found.clientId };
}

/** A connector of ours ends the stream in order when the token expires; one that does not is cut. */
const expiryGraceMs = 2_000;

function endLater(connection: Duplex, expiresAtMs: number): void {
  const timer = setTimeout(() => connection.destroy(), Math.max(0, expiresAtMs - Date.now()) + expiryGraceMs).unref();
  connection.once('close', () => clearTimeout(timer));
}

/** A browser says where the page comes from that opens the WebSocket: only a page of this very host may. */
function isForeignOrigin({ headers, host }: VisitorRequest): boolean {
  const origin = headerValue(headers, 'origin');
  return origin !== undefined && URL.parse(origin)?.host.toLowerCase() !== host.toLowerCase();
}

/** The connector would compare it with the name by which it is called. */
function withoutOrigin(headers: VisitorRequest['headers']): readonly string[] {
  return headers.filter((_, index) => headers[index - (index % 2)]?.toLowerCase() !== 'origin');
}

/** Number of every refusal that stock clients print. */
const refusalCode = 1001;

function refuse(request: VisitorRequest, response: VisitorResponse, status: number, message: string): void {
  const text = JSON.stringify({ success: false, errors: [{ code: refusalCode, message }] });
  answer(request, response, status, 'application/json', text);
}

function answer(
  { method }: VisitorRequest,
  response: VisitorResponse,
  status: number,
  type: string,
  text: string,
): void {
  const length = String(Buffer.byteLength(text));
  const headers = ['Content-Type', type, 'Content-Length', length, 'Cache-Control', 'no-store'];
  const body = response.start(status, headers, { hasBody: method !== 'HEAD' });
  body?.write(Buffer.from(text));
  body?.end([]);
}
