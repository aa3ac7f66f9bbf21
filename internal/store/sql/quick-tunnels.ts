// Quick tunnels: an ordinary tunnel, its host name, and who asked for it.

import type { TunnelId } from '../../schema/api/id.ts';
import type { QuickTunnelRecord } from '../contract/records.ts';
import type { QuickTunnelStore } from '../contract/store.ts';
import { integer, text, tunnelId } from './columns.ts';
import type { Database, Row } from './database.ts';
import { insertHostname, removeHostnamesOf } from './hostnames.ts';
import { insertTunnel } from './tunnels.ts';

/** @param forgetActivity of tunnels that are gone; the caller's other file knows it */
export function createQuickTunnelStore(
  database: Database,
  forgetActivity: (ids: readonly TunnelId[]) => Promise<void>,
): QuickTunnelStore {
  return {
    async create(tunnel, quick) {
      const { hostname, clientAddress, createdAtMs } = quick;
      await database.write(async (sql, emit) => {
        await insertTunnel(sql, tunnel, emit);
        await insertHostname(sql, { hostname, tunnelId: tunnel.id, accountTag: tunnel.accountTag, createdAtMs }, emit);
        await sql.run('INSERT INTO quick_tunnels VALUES (?, ?, ?, ?)', tunnel.id, hostname, clientAddress, createdAtMs);
      });
    },
    async list() {
      return (await database.rows('SELECT * FROM quick_tunnels ORDER BY created_ms, tunnel_id')).map(toQuickTunnel);
    },
    async remove(ids) {
      const count = await database.write(async (sql, emit) => {
        let removed = 0;
        for (const id of ids) {
          if ((await sql.run('DELETE FROM quick_tunnels WHERE tunnel_id = ?', id)) === 0) continue;
          removed += 1;
          await removeHostnamesOf(sql, id, emit);
          const row = await sql.row('DELETE FROM tunnels WHERE id = ? RETURNING account_tag', id);
          if (row !== undefined) emit({ kind: 'tunnel-deleted', tunnelId: id, accountTag: text(row, 'account_tag') });
        }
        return removed;
      });
      await forgetActivity(ids);
      return count;
    },
  };
}

function toQuickTunnel(row: Row): QuickTunnelRecord {
  return {
    tunnelId: tunnelId(row, 'tunnel_id'),
    hostname: text(row, 'hostname'),
    clientAddress: text(row, 'client_address'),
    createdAtMs: integer(row, 'created_ms'),
  };
}
