// Calls about private networks: routes by prefix and by host name, virtual networks, echo requests; a part of the one table
// (routes.ts).

import * as z from 'zod';
import { nothingSchema as none } from '../schema/api/common.ts';
import { echoResultSchema, sendEchoSchema } from '../schema/api/echo.ts';
import {
  createIpRouteSchema,
  createNetworkSchema,
  createPrivateHostnameSchema,
  deleteNetworkQuerySchema,
  detailedIpRouteSchema,
  ipLookupQuerySchema,
  ipRouteQuerySchema,
  ipRouteSchema,
  namedIpRouteQuerySchema,
  namedIpRouteSchema,
  networkQuerySchema,
  networkSchema,
  privateHostnameQuerySchema,
  privateHostnameSchema,
  updateIpRouteSchema,
  updateNamedIpRouteSchema,
  updateNetworkSchema,
  updatePrivateHostnameSchema,
} from '../schema/api/private-route.ts';
import { route } from './route.ts';

const ipRoutes = '/accounts/{account}/teamnet/routes';
const ipRoute = `${ipRoutes}/{id}` as const;
/** The prefix stands in the path, with its slash encoded. */
const namedIpRoute = `${ipRoutes}/network/{prefix}` as const;
const networks = '/accounts/{account}/teamnet/virtual_networks';
const network = `${networks}/{id}` as const;
const hostnameRoutes = '/accounts/{account}/zerotrust/routes/hostname';
const hostnameRoute = `${hostnameRoutes}/{id}` as const;

const get = { method: 'GET', query: none, body: none, paged: false } as const;
const list = { method: 'GET', body: none, paged: true } as const;
const post = { method: 'POST', query: none, paged: false } as const;
const patch = { method: 'PATCH', query: none, paged: false } as const;
const remove = { method: 'DELETE', query: none, body: none, paged: false } as const;

export const privateRoutes = {
  listIpRoutes: route({
    ...{ ...list, path: ipRoutes, op: 'list routes' },
    ...{ query: ipRouteQuerySchema, result: detailedIpRouteSchema },
  }),
  addIpRoute: route({ ...post, path: ipRoutes, op: 'add route', body: createIpRouteSchema, result: ipRouteSchema }),
  readIpRoute: route({ ...get, path: ipRoute, op: 'get route', result: detailedIpRouteSchema }),
  updateIpRoute: route({
    ...{ ...patch, path: ipRoute, op: 'update route' },
    ...{ body: updateIpRouteSchema, result: ipRouteSchema },
  }),
  deleteIpRoute: route({ ...remove, path: ipRoute, op: 'delete route', result: ipRouteSchema }),
  addNamedIpRoute: route({
    ...{ ...post, path: namedIpRoute, op: 'add route' },
    ...{ body: namedIpRouteSchema, result: ipRouteSchema },
  }),
  updateNamedIpRoute: route({
    ...{ ...patch, path: namedIpRoute, op: 'update route' },
    ...{ query: namedIpRouteQuerySchema, body: updateNamedIpRouteSchema, result: ipRouteSchema },
  }),
  deleteNamedIpRoute: route({
    ...{ ...remove, path: namedIpRoute, op: 'delete route' },
    ...{ query: namedIpRouteQuerySchema, result: ipRouteSchema },
  }),
  /** The route that an address takes. */
  getIpRoute: route({
    ...{ ...get, path: `${ipRoutes}/ip/{ip}`, op: 'get route' },
    ...{ query: ipLookupQuerySchema, result: detailedIpRouteSchema.partial().nullable() },
  }),
  listHostnameRoutes: route({
    ...{ ...list, path: hostnameRoutes, op: 'list hostname routes' },
    ...{ query: privateHostnameQuerySchema, result: privateHostnameSchema },
  }),
  addHostnameRoute: route({
    ...{ ...post, path: hostnameRoutes, op: 'add hostname route' },
    ...{ body: createPrivateHostnameSchema, result: privateHostnameSchema },
  }),
  getHostnameRoute: route({
    ...{ ...get, path: hostnameRoute, op: 'get hostname route' },
    result: privateHostnameSchema,
  }),
  updateHostnameRoute: route({
    ...{ ...patch, path: hostnameRoute, op: 'update hostname route' },
    ...{ body: updatePrivateHostnameSchema, result: privateHostnameSchema },
  }),
  deleteHostnameRoute: route({
    ...{ ...remove, path: hostnameRoute, op: 'delete hostname route' },
    result: privateHostnameSchema,
  }),
  sendEcho: route({
    ...{ ...post, path: '/accounts/{account}/teamnet/echo', op: 'send echo request' },
    ...{ body: sendEchoSchema, result: echoResultSchema },
  }),
  listNetworks: route({
    ...{ ...get, path: networks, op: 'list virtual networks' },
    ...{ query: networkQuerySchema, result: z.array(networkSchema) },
  }),
  addNetwork: route({
    ...{ ...post, path: networks, op: 'add virtual network' },
    ...{ body: createNetworkSchema, result: networkSchema },
  }),
  getNetwork: route({ ...get, path: network, op: 'get virtual network', result: networkSchema }),
  updateNetwork: route({
    ...{ ...patch, path: network, op: 'update virtual network' },
    ...{ body: updateNetworkSchema, result: networkSchema },
  }),
  deleteNetwork: route({
    ...{ ...remove, path: network, op: 'delete virtual network' },
    ...{ query: deleteNetworkQuerySchema, result: networkSchema },
  }),
} as const;
