// Private host names.

import type { PrivateHostnameRecord } from '../contract/records.ts';
import type { PrivateHostnameStore } from '../contract/store.ts';
import { text } from './columns.ts';
import type { Database, Row } from './database.ts';
import { addRoute, listRoutes, type RouteTable, readRoute, removeRoute, updateRoute } from './removable-routes.ts';

/** For those who remove the names of a tunnel or network that goes. */
export const privateHostnames: RouteTable<PrivateHostnameRecord> = {
  name: 'private_hostnames',
  column: 'hostname',
  read: toPrivateHostname,
  target: route => route.hostname,
  added: route => ({ kind: 'private-hostname-added', route }),
  deleted: route => ({ kind: 'private-hostname-deleted', route }),
};

export function createPrivateHostnameStore(database: Database): PrivateHostnameStore {
  return {
    async create(route) {
      await addRoute(database, privateHostnames, route);
    },
    async update(accountTag, id, changes) {
      return updateRoute(database, privateHostnames, accountTag, id, changes);
    },
    async remove(accountTag, id, atMs) {
      return removeRoute(database, privateHostnames, accountTag, id, atMs);
    },
    async list(accountTag) {
      return listRoutes(database, privateHostnames, accountTag);
    },
  };
}

function toPrivateHostname(row: Row): PrivateHostnameRecord {
  return { ...readRoute(row), hostname: text(row, 'hostname') };
}
