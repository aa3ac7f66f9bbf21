// Calls about accounts, zones and DNS records; a part of the one table (routes.ts).

import { nothingSchema as none } from '../schema/api/common.ts';
import {
  accountQuerySchema,
  accountSchema,
  createDnsRecordSchema,
  deletedSchema,
  dnsRecordQuerySchema,
  dnsRecordSchema,
  updateDnsRecordSchema,
  zoneQuerySchema,
  zoneSchema,
} from '../schema/api/zone.ts';
import { callerRoute, route } from './route.ts';

const records = '/zones/{zone}/dns_records';
const record = `${records}/{id}` as const;

const get = { method: 'GET', query: none, body: none, paged: false } as const;

export const zoneRoutes = {
  listAccounts: callerRoute({
    ...{ ...get, path: '/accounts', op: 'list accounts' },
    ...{ paged: true, query: accountQuerySchema, result: accountSchema },
  }),
  getAccount: route({
    ...{ ...get, path: '/accounts/{account}', op: 'get account' },
    ...{ resource: 'tunnels', result: accountSchema },
  }),
  listZones: callerRoute({
    ...{ ...get, path: '/zones', op: 'list zones' },
    ...{ paged: true, query: zoneQuerySchema, result: zoneSchema },
  }),
  getZone: route({ ...get, path: '/zones/{zone}', op: 'get zone', result: zoneSchema }),
  listDnsRecords: route({
    ...{ ...get, path: records, op: 'list DNS records' },
    ...{ paged: true, query: dnsRecordQuerySchema, result: dnsRecordSchema },
  }),
  createDnsRecord: route({
    ...{ method: 'POST', path: records, op: 'create DNS record', query: none, paged: false },
    ...{ body: createDnsRecordSchema, result: dnsRecordSchema },
  }),
  getDnsRecord: route({ ...get, path: record, op: 'get DNS record', result: dnsRecordSchema }),
  replaceDnsRecord: route({
    ...{ method: 'PUT', path: record, op: 'replace DNS record', query: none, paged: false },
    ...{ body: createDnsRecordSchema, result: dnsRecordSchema },
  }),
  updateDnsRecord: route({
    ...{ method: 'PATCH', path: record, op: 'update DNS record', query: none, paged: false },
    ...{ body: updateDnsRecordSchema, result: dnsRecordSchema },
  }),
  deleteDnsRecord: route({
    ...{ method: 'DELETE', path: record, op: 'delete DNS record', query: none, body: none, paged: false },
    ...{ result: deletedSchema },
  }),
} as const;
