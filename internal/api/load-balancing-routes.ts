// The calls on monitors, pools and load balancers: paths and documents of the public v4 API.

import { nothingSchema as none } from '../schema/api/common.ts';
import {
  balancerSchema,
  monitorSchema,
  pagedQuerySchema,
  patchBalancerSchema,
  patchMonitorSchema,
  patchPoolSchema,
  poolHealthSchema,
  poolQuerySchema,
  poolSchema,
  putBalancerSchema,
  putMonitorSchema,
  putPoolSchema,
  removedSchema,
} from '../schema/api/load-balancing.ts';
import { route } from './route.ts';

const monitors = '/accounts/{account}/load_balancers/monitors';
const pools = '/accounts/{account}/load_balancers/pools';
const balancers = '/zones/{zone}/load_balancers';
const list = { method: 'GET', body: none, paged: true } as const;
const get = { method: 'GET', query: none, body: none, paged: false } as const;
const create = { method: 'POST', query: none, paged: false } as const;
const put = { method: 'PUT', query: none, paged: false } as const;
const patch = { method: 'PATCH', query: none, paged: false } as const;
const remove = { method: 'DELETE', query: none, body: none, paged: false, result: removedSchema } as const;

export const balancingRoutes = {
  listMonitors: route({ ...list, path: monitors, op: 'list monitors', query: pagedQuerySchema, result: monitorSchema }),
  createMonitor: route({
    ...{ ...create, path: monitors, op: 'create monitor', body: putMonitorSchema, result: monitorSchema },
  }),
  getMonitor: route({ ...get, path: `${monitors}/{id}`, op: 'get monitor', result: monitorSchema }),
  putMonitor: route({
    ...{ ...put, path: `${monitors}/{id}`, op: 'update monitor', body: putMonitorSchema, result: monitorSchema },
  }),
  patchMonitor: route({
    ...{ ...patch, path: `${monitors}/{id}`, op: 'update monitor', body: patchMonitorSchema, result: monitorSchema },
  }),
  deleteMonitor: route({ ...remove, path: `${monitors}/{id}`, op: 'delete monitor' }),
  listPools: route({ ...list, path: pools, op: 'list pools', query: poolQuerySchema, result: poolSchema }),
  createPool: route({ ...create, path: pools, op: 'create pool', body: putPoolSchema, result: poolSchema }),
  getPool: route({ ...get, path: `${pools}/{id}`, op: 'get pool', result: poolSchema }),
  putPool: route({ ...put, path: `${pools}/{id}`, op: 'update pool', body: putPoolSchema, result: poolSchema }),
  patchPool: route({ ...patch, path: `${pools}/{id}`, op: 'update pool', body: patchPoolSchema, result: poolSchema }),
  deletePool: route({ ...remove, path: `${pools}/{id}`, op: 'delete pool' }),
  getPoolHealth: route({ ...get, path: `${pools}/{id}/health`, op: 'get pool health', result: poolHealthSchema }),
  listBalancers: route({
    ...{ ...list, path: balancers, op: 'list load balancers', query: pagedQuerySchema, result: balancerSchema },
  }),
  createBalancer: route({
    ...{ ...create, path: balancers, op: 'create load balancer', body: putBalancerSchema, result: balancerSchema },
  }),
  getBalancer: route({ ...get, path: `${balancers}/{id}`, op: 'get load balancer', result: balancerSchema }),
  putBalancer: route({
    ...{
      ...put,
      path: `${balancers}/{id}`,
      op: 'update load balancer',
      body: putBalancerSchema,
      result: balancerSchema,
    },
  }),
  patchBalancer: route({
    ...{ ...patch, path: `${balancers}/{id}`, op: 'update load balancer' },
    ...{ body: patchBalancerSchema, result: balancerSchema },
  }),
  deleteBalancer: route({ ...remove, path: `${balancers}/{id}`, op: 'delete load balancer' }),
} as const;
