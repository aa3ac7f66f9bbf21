// Public ports that lead to tunnels.

import type { TunnelId } from '../../schema/api/id.ts';
import type { PortProtocol, PublicPortRecord } from '../contract/records.ts';
import type { PublicPortStore } from '../contract/store.ts';
import { integer, text, tunnelId } from './columns.ts';
import type { Database, Emit, Row, Sql } from './database.ts';
import { requireTunnelOf } from './ownership.ts';

export function createPublicPortStore(database: Database): PublicPortStore {
  return {
    async create(record, maxPerAccount) {
      const { id, accountTag, protocol, port, tunnelId: leads, document, createdAtMs } = record;
      return database.write(async (sql, emit) => {
        await requireTunnelOf(sql, accountTag, leads);
        const held = await sql.row('SELECT count(*) AS held FROM public_ports WHERE account_tag = ?', accountTag);
        if (held !== undefined && integer(held, 'held') >= maxPerAccount) return 'full';
        const values = [id, accountTag, protocol, port, leads, document, createdAtMs];
        await sql.run('INSERT INTO public_ports VALUES (?, ?, ?, ?, ?, ?, ?)', ...values);
        emit({ kind: 'public-port-added', route: record });
        return 'created';
      });
    },
    async remove(accountTag, id) {
      return database.write(async (sql, emit) => {
        const query = 'DELETE FROM public_ports WHERE id = ? AND account_tag = ? RETURNING *';
        const row = await sql.row(query, id, accountTag);
        if (row === undefined) return undefined;
        const route = toPublicPort(row);
        emit({ kind: 'public-port-removed', route });
        return route;
      });
    },
    async list(accountTag) {
      const rows =
        accountTag === undefined
          ? await database.rows('SELECT * FROM public_ports ORDER BY port, protocol')
          : await database.rows('SELECT * FROM public_ports WHERE account_tag = ? ORDER BY port, protocol', accountTag);
      return rows.map(toPublicPort);
    },
  };
}

/** Removes the ports of a tunnel inside the caller's transaction. */
export async function removePublicPortsOf(sql: Sql, id: TunnelId, emit: Emit): Promise<void> {
  for (const row of await sql.rows('DELETE FROM public_ports WHERE tunnel_id = ? RETURNING *', id))
    emit({ kind: 'public-port-removed', route: toPublicPort(row) });
}

function toPublicPort(row: Row): PublicPortRecord {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    protocol: text(row, 'protocol') as PortProtocol,
    port: integer(row, 'port'),
    tunnelId: tunnelId(row, 'tunnel_id'),
    document: text(row, 'document'),
    createdAtMs: integer(row, 'created_ms'),
  };
}
