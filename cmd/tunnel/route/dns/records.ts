// The DNS records of the credential's zone that lead to tunnels.

import type { ApiDnsRecord } from '../../../../internal/schema/api/zone.ts';
import type { ApiSession } from '../../api.ts';

export interface TunnelRecord extends ApiDnsRecord {
  readonly tunnelId: string;
}

/** Sorted by name; other records, which Cloudflare's zones have, are left out. */
export async function listRecords(api: ApiSession): Promise<readonly TunnelRecord[]> {
  const records = await api.client.listDnsRecords({
    params: { zone: api.cert.zoneId },
    query: { type: 'CNAME', order: 'name' },
  });
  return records.flatMap(record => {
    const [, tunnelId] = /^([0-9a-f-]{36})\.cfargotunnel\.com$/i.exec(record.content) ?? [];
    return tunnelId === undefined ? [] : [{ ...record, tunnelId }];
  });
}
