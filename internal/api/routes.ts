// The one table of the control-plane API: every call's method, path, owner, documents and the words its errors use. The
// client (client.ts) is derived from it; the server checks the owner before a handler of the right type runs.
// Source: docs/protocol/commands-and-api.md §9.

import * as z from 'zod';
import { nothingSchema } from '../schema/api/common.ts';
import { addRouteResultSchema, addRouteSchema, foundRouteSchema } from '../schema/api/hostname-route.ts';
import {
  activeClientSchema,
  cleanupQuerySchema,
  configurationSchema,
  createTunnelSchema,
  deleteTunnelQuerySchema,
  putConfigurationSchema,
  rotatedTokenSchema,
  rotateTokenSchema,
  tunnelQuerySchema,
  tunnelSchema,
  tunnelWithTokenSchema,
  updateTunnelSchema,
} from '../schema/api/tunnel.ts';
import { certificateRoutes } from './certificate-routes.ts';
import { balancingRoutes } from './load-balancing-routes.ts';
import type { PathParams } from './path.ts';
import { peopleRoutes } from './people-routes.ts';
import { privateRoutes } from './private-routes.ts';
import { publicPortRoutes } from './public-port-routes.ts';
import { type ApiRoute, route } from './route.ts';
import { zoneRoutes } from './zone-routes.ts';

const tunnels = '/accounts/{account}/cfd_tunnel';
const tunnel = `${tunnels}/{id}` as const;
const none = nothingSchema;
/** Results that callers do not look at. */
const ignored = z.unknown();

export const apiRoutes = {
  ...certificateRoutes,
  ...peopleRoutes,
  ...privateRoutes,
  ...zoneRoutes,
  ...publicPortRoutes,
  createTunnel: route({
    method: 'POST',
    path: tunnels,
    op: 'create tunnel',
    query: none,
    paged: false,
    body: createTunnelSchema,
    result: tunnelWithTokenSchema,
  }),
  listTunnels: route({
    method: 'GET',
    path: tunnels,
    op: 'list tunnels',
    body: none,
    paged: true,
    query: tunnelQuerySchema,
    result: tunnelSchema,
  }),
  getTunnel: route({
    method: 'GET',
    path: tunnel,
    op: 'get tunnel',
    query: none,
    body: none,
    paged: false,
    result: tunnelSchema,
  }),
  updateTunnel: route({
    method: 'PATCH',
    path: tunnel,
    op: 'update tunnel',
    query: none,
    paged: false,
    body: updateTunnelSchema,
    result: tunnelSchema,
  }),
  deleteTunnel: route({
    method: 'DELETE',
    path: tunnel,
    op: 'delete tunnel',
    body: none,
    paged: false,
    query: deleteTunnelQuerySchema,
    result: ignored,
  }),
  getTunnelToken: route({
    method: 'GET',
    path: `${tunnel}/token`,
    op: 'get tunnel token',
    query: none,
    body: none,
    paged: false,
    reveals: true,
    result: z.string(),
  }),
  listConnections: route({
    method: 'GET',
    path: `${tunnel}/connections`,
    op: 'list connection details',
    query: none,
    paged: false,
    body: none,
    result: z.array(activeClientSchema),
  }),
  getConnector: route({
    method: 'GET',
    path: `${tunnel}/connectors/{connector}`,
    op: 'get connector',
    query: none,
    paged: false,
    body: none,
    result: activeClientSchema,
  }),
  cleanupConnections: route({
    method: 'DELETE',
    path: `${tunnel}/connections`,
    op: 'cleanup connections',
    body: none,
    paged: false,
    query: cleanupQuerySchema,
    result: ignored,
  }),
  getConfiguration: route({
    method: 'GET',
    path: `${tunnel}/configurations`,
    op: 'get configuration',
    query: none,
    paged: false,
    body: none,
    result: configurationSchema,
  }),
  putConfiguration: route({
    method: 'PUT',
    path: `${tunnel}/configurations`,
    op: 'update configuration',
    query: none,
    paged: false,
    body: putConfigurationSchema,
    result: configurationSchema,
  }),
  rotateTunnelToken: route({
    ...{ method: 'POST', path: `${tunnel}/token/rotate`, op: 'rotate tunnel token', query: none, paged: false },
    body: rotateTokenSchema,
    result: rotatedTokenSchema,
  }),
  getManagementToken: route({
    ...{ method: 'POST', path: `${tunnel}/management/{resource}`, op: 'get tunnel token', query: none, paged: false },
    body: none,
    result: z.string(),
  }),
  addRoute: route({
    method: 'PUT',
    path: '/zones/{zone}/tunnels/{id}/routes',
    op: 'add route',
    query: none,
    paged: false,
    body: addRouteSchema,
    result: addRouteResultSchema,
  }),
  findRoute: route({
    ...{ method: 'GET', path: '/accounts/{account}/hostnames/{host}', op: 'find route', query: none, paged: false },
    body: none,
    result: foundRouteSchema,
  }),
  ...balancingRoutes,
} as const;

export type ApiRoutes = typeof apiRoutes;
export type ApiCall = keyof ApiRoutes;

/** A key that may be left out where its value may be undefined. */
type Key<Name extends string, Value> = undefined extends Value
  ? { readonly [N in Name]?: Value }
  : { readonly [N in Name]: Value };

/** Query keys as a caller may give them: any of them, or none. */
type QueryInput<Query> = { readonly [Name in keyof Query]?: Query[Name] | undefined };

/** What a caller gives: the documents as they are sent. Paging keys are the client's own business. */
export type CallInput<R extends ApiRoute> = {
  readonly params: PathParams<R['path']>;
  readonly query?: QueryInput<Omit<NonNullable<z.output<R['query']>>, 'page' | 'per_page'>>;
} & Key<'body', z.input<R['body']>>;

/** What a caller gets: a list where the route is paged. */
export type CallResult<R extends ApiRoute> = R['paged'] extends true
  ? readonly z.output<R['result']>[]
  : z.output<R['result']>;

/** What a handler gets: the documents as they were understood. */
export interface HandlerInput<R extends ApiRoute> {
  readonly params: PathParams<R['path']>;
  readonly query: z.output<R['query']>;
  readonly body: z.output<R['body']>;
}

/** What a handler gives: one page of a list where the route is paged. */
export type HandlerResult<R extends ApiRoute> = R['paged'] extends true
  ? { readonly items: readonly z.input<R['result']>[]; readonly total: number }
  : z.input<R['result']>;

/** Handlers for the calls of the table. `Context` is what the server knows of the caller. */
export type ApiHandlers<Context> = {
  readonly [Call in ApiCall]: ApiHandler<ApiRoutes[Call], Context>;
};

export type ApiHandler<R extends ApiRoute, Context> = (
  input: HandlerInput<R>,
  context: Context,
) => Promise<HandlerResult<R>>;
