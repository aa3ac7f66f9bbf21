// Which edges run on the store, and which tunnels are connected to them, in SQLite.

import type { PresenceStore } from '../contract/store.ts';
import { integer, text, tunnelId } from './columns.ts';
import type { Database } from './database.ts';

export function createPresenceStore(database: Database): PresenceStore {
  return {
    async beat(edgeId, changed) {
      return database.write(() => {
        const known = database.run('UPDATE edges SET beat = beat + 1 WHERE id = ?', edgeId) === 1;
        if (!known) database.run('INSERT INTO edges VALUES (?, 1)', edgeId);
        for (const [id, clients] of changed) {
          if (clients === undefined)
            database.run('DELETE FROM clients WHERE edge_id = ? AND tunnel_id = ?', edgeId, id);
          else database.run('INSERT OR REPLACE INTO clients VALUES (?, ?, ?)', edgeId, id, clients);
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
    async forget(edgeId, beat) {
      await database.write(() => {
        if (beat === undefined) database.run('DELETE FROM edges WHERE id = ?', edgeId);
        else database.run('DELETE FROM edges WHERE id = ? AND beat = ?', edgeId, beat);
      });
    },
  };
}
