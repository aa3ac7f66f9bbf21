// Which edges run on the store, and which tunnels are connected to them, in SQLite.

import type { PresenceStore } from '../contract/store.ts';
import { integer, optionalInteger, text, tunnelId } from './columns.ts';
import type { Database } from './database.ts';

export function createPresenceStore(database: Database): PresenceStore {
  const isConnected = (id: string): boolean =>
    database.row('SELECT 1 FROM clients WHERE tunnel_id = ? LIMIT 1', id) !== undefined;
  const markActive = (id: string, atMs: number): void => {
    database.run('INSERT OR REPLACE INTO activity VALUES (?, ?, NULL)', id, atMs);
  };
  const markInactive = (id: string, atMs: number): void => {
    database.run('UPDATE activity SET inactive_ms = ? WHERE tunnel_id = ? AND inactive_ms IS NULL', atMs, id);
  };
  return {
    async beat(edgeId, changed, atMs) {
      return database.write(() => {
        const known = database.run('UPDATE edges SET beat = beat + 1 WHERE id = ?', edgeId) === 1;
        if (!known) database.run('INSERT INTO edges VALUES (?, 1)', edgeId);
        for (const [id, clients] of changed) {
          const was = isConnected(id);
          if (clients === undefined) {
            database.run('DELETE FROM clients WHERE edge_id = ? AND tunnel_id = ?', edgeId, id);
            if (!isConnected(id)) markInactive(id, atMs);
          } else {
            database.run('INSERT OR REPLACE INTO clients VALUES (?, ?, ?)', edgeId, id, clients);
            if (!was) markActive(id, atMs);
          }
        }
        return known;
      });
    },
    async edges() {
      return database
        .rows('SELECT * FROM edges ORDER BY id')
        .map(row => ({ id: text(row, 'id'), beat: integer(row, 'beat') }));
    },
    async clientsOf(id) {
      return database.rows('SELECT * FROM clients WHERE tunnel_id = ? ORDER BY edge_id', id).map(row => ({
        edgeId: text(row, 'edge_id'),
        tunnelId: tunnelId(row, 'tunnel_id'),
        clients: text(row, 'clients'),
      }));
    },
    async tunnels() {
      return database
        .rows('SELECT edge_id, tunnel_id FROM clients')
        .map(row => ({ edgeId: text(row, 'edge_id'), tunnelId: tunnelId(row, 'tunnel_id') }));
    },
    async activity() {
      return database.rows('SELECT * FROM activity').map(row => ({
        tunnelId: tunnelId(row, 'tunnel_id'),
        activeAtMs: integer(row, 'active_ms'),
        inactiveAtMs: optionalInteger(row, 'inactive_ms'),
      }));
    },
    async forget(edgeId, atMs, beat) {
      await database.write(() => {
        const known = database.row('SELECT beat FROM edges WHERE id = ?', edgeId);
        if (known === undefined || (beat !== undefined && integer(known, 'beat') !== beat)) return;
        const had = database.rows('SELECT tunnel_id FROM clients WHERE edge_id = ?', edgeId);
        database.run('DELETE FROM edges WHERE id = ?', edgeId);
        for (const row of had) {
          const id = text(row, 'tunnel_id');
          if (!isConnected(id)) markInactive(id, atMs);
        }
      });
    },
    async forgetTunnels(ids) {
      await database.write(() => {
        for (const id of ids) database.run('DELETE FROM activity WHERE tunnel_id = ?', id);
      });
    },
  };
}
