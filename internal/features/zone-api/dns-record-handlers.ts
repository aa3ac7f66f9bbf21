// API calls on DNS records. A record is a public host name of the account in the zone, shown as the CNAME to
// `<tunnel id>.cfargotunnel.com` that stands for its route in the public v4 API; there are no others.

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import {
  type Caller,
  type ControlPlaneParts,
  formatTime,
  pageOf,
  requireTunnel,
} from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import { isInZone, parsePublicHostname } from '../../control-plane/public-hostname.ts';
import { isPosternError } from '../../errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../schema/api/id.ts';
import type { HostnameRecord, ZoneRecord } from '../../store/contract/records.ts';
import { recordFilter, recordOrder } from './record-filter.ts';

type DnsRecordHandlers = Pick<
  ApiHandlers<Caller>,
  'listDnsRecords' | 'createDnsRecord' | 'getDnsRecord' | 'replaceDnsRecord' | 'updateDnsRecord' | 'deleteDnsRecord'
>;

/** Below it the public API has a name for every tunnel. */
const tunnelDomain = 'cfargotunnel.com';

interface Changes {
  readonly name?: string | undefined;
  readonly content?: string | undefined;
  readonly comment?: string | null | undefined;
}

export function createDnsRecordHandlers({ store, now }: Pick<ControlPlaneParts, 'store' | 'now'>): DnsRecordHandlers {
  const requireZone = async (id: string): Promise<ZoneRecord> => {
    const zone = await store.accounts.zone(id);
    if (zone === undefined) throw apiProblem('notFound', 'Zone not found');
    return zone;
  };
  const recordsOf = async (zone: ZoneRecord): Promise<readonly HostnameRecord[]> =>
    (await store.hostnames.list(zone.accountTag)).filter(({ hostname }) => isInZone(hostname, zone.domain));
  /** Throws `api.not-found`, also for a record of another zone or account. */
  const requireRecord = async (zone: ZoneRecord, id: string): Promise<HostnameRecord> => {
    const record = (await recordsOf(zone)).find(one => one.id === id.toLowerCase());
    if (record === undefined) throw recordMissing();
    return record;
  };
  /** The caller's live tunnel that a content names. Throws `api.invalid` or `api.not-found`. */
  const tunnelOf = async (caller: Caller, content: string): Promise<TunnelId> => {
    const [label = '', ...domain] = content.toLowerCase().replace(/\.$/, '').split('.');
    const id = parseTunnelId(label);
    if (id === undefined || domain.join('.') !== tunnelDomain)
      throw apiProblem('invalid', `content must be <tunnel id>.${tunnelDomain}, not ${JSON.stringify(content)}`);
    return (await requireTunnel({ store }, caller, id)).id;
  };
  const change = async (caller: Caller, params: { zone: string; id: string }, changes: Changes) => {
    const zone = await requireZone(params.zone);
    const { id } = await requireRecord(zone, params.id);
    const { name, content, comment } = changes;
    const hostname = name === undefined ? undefined : parsePublicHostname(name, zone.domain);
    const tunnelId = content === undefined ? undefined : await tunnelOf(caller, content);
    try {
      const record = await store.hostnames.update(caller.accountTag, id, {
        ...{ hostname, tunnelId, atMs: now() },
        comment: comment === null ? '' : comment,
      });
      if (record === undefined) throw recordMissing();
      return showRecord(record, zone);
    } catch (error) {
      if (!isPosternError(error, 'store.conflict')) throw error;
      throw recordExists(hostname ?? '');
    }
  };
  return {
    async listDnsRecords({ params, query }) {
      const zone = await requireZone(params.zone);
      const shown = (await recordsOf(zone)).map(record => showRecord(record, zone));
      const wanted = shown.filter(recordFilter(query)).toSorted(recordOrder(query));
      return pageOf(wanted, { page: query.page, perPage: perPageOf(query) });
    },

    async createDnsRecord({ params, body }, caller) {
      const zone = await requireZone(params.zone);
      const hostname = parsePublicHostname(body.name, zone.domain);
      const tunnelId = await tunnelOf(caller, body.content);
      const outcome = await store.hostnames.route(
        { hostname, tunnelId, accountTag: caller.accountTag, createdAtMs: now(), comment: body.comment ?? '' },
        { overwrite: false },
      );
      const record = outcome === 'new' ? await store.hostnames.get(hostname) : undefined;
      if (record?.accountTag !== caller.accountTag) throw recordExists(hostname);
      return showRecord(record, zone);
    },

    async getDnsRecord({ params }) {
      const zone = await requireZone(params.zone);
      return showRecord(await requireRecord(zone, params.id), zone);
    },

    replaceDnsRecord: ({ params, body }, caller) => change(caller, params, { ...body, comment: body.comment ?? '' }),

    updateDnsRecord: ({ params, body }, caller) => change(caller, params, body),

    async deleteDnsRecord({ params }, caller) {
      const { id } = await requireRecord(await requireZone(params.zone), params.id);
      if (!(await store.hostnames.remove(caller.accountTag, id))) throw recordMissing();
      return { id };
    },
  };
}

function recordMissing(): Error {
  return apiProblem('recordMissing', 'Record does not exist.');
}

function recordExists(hostname: string): Error {
  return apiProblem('recordExists', `A record with the name ${hostname} exists already`);
}

function showRecord(record: HostnameRecord, zone: ZoneRecord) {
  return {
    id: record.id,
    name: record.hostname,
    type: 'CNAME',
    content: `${record.tunnelId}.${tunnelDomain}`,
    ...{ proxiable: true, proxied: true, ttl: 1, settings: {}, meta: {}, tags: [] },
    comment: record.comment === '' ? null : record.comment,
    zone_id: zone.id,
    zone_name: zone.domain,
    created_on: formatTime(record.createdAtMs),
    modified_on: formatTime(record.modifiedAtMs),
  };
}
