// Which edges run on the store, and which tunnels are connected to them.

import type { PresenceStore } from '../contract/store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database, Sql } from './database.ts';

export function createPresenceStore(database: Database): PresenceStore {
  const isConnected = async (sql: Sql, id: string): Promise<boolean> =>
    (await sql.row('SELECT 1 FROM clients WHERE tunnel_id = ? LIMIT 1', id)) !== undefined;
  const markActive = async (sql: Sql, id: string, atMs: number): Promise<void> => {
    await sql.run(
      `INSERT INTO activity VALUES (?, ?, NULL)
       ON CONFLICT (tunnel_id) DO UPDATE SET active_ms = excluded.active_ms, inactive_ms = NULL`,
      id,
      atMs,
    );
  };
  const markInactive = async (sql: Sql, id: string, atMs: number): Promise<void> => {
    await sql.run('UPDATE activity SET inactive_ms = ? WHERE tunnel_id = ? AND inactive_ms IS NULL', atMs, id);
  };
  return {
    async beat(edgeId, changed, atMs) {
      return database.write(async sql => {
        const known = (await sql.run('UPDATE edges SET beat = beat + 1 WHERE id = ?', edgeId)) === 1;
        if (!known) await sql.run('INSERT INTO edges VALUES (?, 1)', edgeId);
        for (const [id, clients] of changed) {
          const was = await isConnected(sql, id);
          if (clients === undefined) {
            await sql.run('DELETE FROM clients WHERE edge_id = ? AND tunnel_id = ?', edgeId, id);
            if (!(await isConnected(sql, id))) await markInactive(sql, id, atMs);
          } else {
            await sql.run(
              `INSERT INTO clients VALUES (?, ?, ?)
               ON CONFLICT (edge_id, tunnel_id) DO UPDATE SET clients = excluded.clients`,
              edgeId,
              id,
              clients,
            );
            if (!was) await markActive(sql, id, atMs);
          }
        }
        return known;
      });
    },
    async edges() {
      return (await database.rows('SELECT * FROM edges ORDER BY id')).map(row => ({
        id: text(row, 'id'),
        beat: integer(row, 'beat'),
      }));
    },
    async clientsOf(id) {
      return (await database.rows('SELECT * FROM clients WHERE tunnel_id = ? ORDER BY edge_id', id)).map(row => ({
        edgeId: text(row, 'edge_id'),
        tunnelId: tunnelId(row, 'tunnel_id'),
        clients: text(row, 'clients'),
      }));
    },
    async tunnels() {
      return (await database.rows('SELECT edge_id, tunnel_id FROM clients')).map(row => ({
        edgeId: text(row, 'edge_id'),
        tunnelId: tunnelId(row, 'tunnel_id'),
      }));
    },
    async activity() {
      return (await database.rows('SELECT * FROM activity')).map(row => ({
        tunnelId: tunnelId(row, 'tunnel_id'),
        activeAtMs: integer(row, 'active_ms'),
        inactiveAtMs: optionalInteger(row, 'inactive_ms'),
      }));
    },
    async forget(edgeId, atMs, beat) {
      await database.write(async sql => {
        const known = await sql.row('SELECT beat FROM edges WHERE id = ?', edgeId);
        if (known === undefined || (beat !== undefined && integer(known, 'beat') !== beat)) return;
        const had = await sql.rows('SELECT tunnel_id FROM clients WHERE edge_id = ?', edgeId);
        await sql.run('DELETE FROM edges WHERE id = ?', edgeId);
        for (const row of had) {
          const id = text(row, 'tunnel_id');
          if (!(await isConnected(sql, id))) await markInactive(sql, id, atMs);
        }
      });
    },
    async forgetTunnels(ids) {
      await database.write(async sql => {
        for (const id of ids) await sql.run('DELETE FROM activity WHERE tunnel_id = ?', id);
      });
    },
  };
}
