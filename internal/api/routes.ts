// The one table of the control-plane API: every call's method, path, owner, documents and the words its errors use. The
// client (client.ts) is derived from it; the server checks owner and scope before a handler of the right type runs.
// Source: docs/protocol/commands-and-api.md §9.

import * as z from 'zod';
import { nothingSchema } from '../schema/api/common.ts';
import { echoResultSchema, sendEchoSchema } from '../schema/api/echo.ts';
import { addRouteResultSchema, addRouteSchema, foundRouteSchema } from '../schema/api/hostname-route.ts';
import {
  createIpRouteSchema,
  createNetworkSchema,
  createPrivateHostnameSchema,
  deleteNetworkQuerySchema,
  detailedIpRouteSchema,
  ipLookupQuerySchema,
  ipRouteQuerySchema,
  ipRouteSchema,
  networkQuerySchema,
  networkSchema,
  privateHostnameQuerySchema,
  privateHostnameSchema,
  updateIpRouteSchema,
  updateNetworkSchema,
} from '../schema/api/private-route.ts';
import {
  activeClientSchema,
  cleanupQuerySchema,
  configurationSchema,
  createTunnelSchema,
  deleteTunnelQuerySchema,
  putConfigurationSchema,
  tunnelQuerySchema,
  tunnelSchema,
  tunnelWithTokenSchema,
} from '../schema/api/tunnel.ts';
import type { PathParams } from './path.ts';
import { peopleRoutes } from './people-routes.ts';
import { type ApiRoute, route } from './route.ts';

const tunnels = '/accounts/{account}/cfd_tunnel';
const tunnel = `${tunnels}/{id}` as const;
const ipRoutes = '/accounts/{account}/teamnet/routes';
const networks = '/accounts/{account}/teamnet/virtual_networks';
const hostnameRoutes = '/accounts/{account}/zerotrust/routes/hostname';
const none = nothingSchema;
/** Results that callers do not look at. */
const ignored = z.unknown();

export const apiRoutes = {
  ...peopleRoutes,
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
  listIpRoutes: route({
    method: 'GET',
    path: ipRoutes,
    op: 'list routes',
    body: none,
    paged: true,
    query: ipRouteQuerySchema,
    result: detailedIpRouteSchema,
  }),
  addIpRoute: route({
    method: 'POST',
    path: ipRoutes,
    op: 'add route',
    query: none,
    paged: false,
    body: createIpRouteSchema,
    result: ipRouteSchema,
  }),
  updateIpRoute: route({
    method: 'PATCH',
    path: `${ipRoutes}/{id}`,
    op: 'update route',
    query: none,
    paged: false,
    body: updateIpRouteSchema,
    result: ipRouteSchema,
  }),
  deleteIpRoute: route({
    method: 'DELETE',
    path: `${ipRoutes}/{id}`,
    op: 'delete route',
    query: none,
    body: none,
    paged: false,
    result: ipRouteSchema,
  }),
  getIpRoute: route({
    method: 'GET',
    path: `${ipRoutes}/ip/{ip}`,
    op: 'get route',
    body: none,
    paged: false,
    query: ipLookupQuerySchema,
    result: detailedIpRouteSchema.partial().nullable(),
  }),
  listHostnameRoutes: route({
    method: 'GET',
    path: hostnameRoutes,
    op: 'list hostname routes',
    body: none,
    paged: true,
    query: privateHostnameQuerySchema,
    result: privateHostnameSchema,
  }),
  addHostnameRoute: route({
    method: 'POST',
    path: hostnameRoutes,
    op: 'add hostname route',
    query: none,
    paged: false,
    body: createPrivateHostnameSchema,
    result: privateHostnameSchema,
  }),
  deleteHostnameRoute: route({
    method: 'DELETE',
    path: `${hostnameRoutes}/{id}`,
    op: 'delete hostname route',
    query: none,
    paged: false,
    body: none,
    result: privateHostnameSchema,
  }),
  sendEcho: route({
    method: 'POST',
    path: '/accounts/{account}/teamnet/echo',
    op: 'send echo request',
    query: none,
    paged: false,
    body: sendEchoSchema,
    result: echoResultSchema,
  }),
  listNetworks: route({
    method: 'GET',
    path: networks,
    op: 'list virtual networks',
    body: none,
    paged: false,
    query: networkQuerySchema,
    result: z.array(networkSchema),
  }),
  addNetwork: route({
    method: 'POST',
    path: networks,
    op: 'add virtual network',
    query: none,
    paged: false,
    body: createNetworkSchema,
    result: networkSchema,
  }),
  updateNetwork: route({
    method: 'PATCH',
    path: `${networks}/{id}`,
    op: 'update virtual network',
    query: none,
    paged: false,
    body: updateNetworkSchema,
    result: networkSchema,
  }),
  deleteNetwork: route({
    method: 'DELETE',
    path: `${networks}/{id}`,
    op: 'delete virtual network',
    body: none,
    paged: false,
    query: deleteNetworkQuerySchema,
    result: networkSchema,
  }),
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
