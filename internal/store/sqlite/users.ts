// Users, their groups and devices in SQLite.

import { PosternError } from '../../errors/error.ts';
import type { DeviceRecord, GroupRecord, UserRecord } from '../contract/records.ts';
import type { DeviceStore, GroupStore, UserStore } from '../contract/store.ts';
import { integer, optionalInteger, optionalText, text } from './columns.ts';
import type { Database, Row } from './database.ts';
import { formatScopes, parseScopes, removeTokensOf } from './tokens.ts';

export function createUserStore(database: Database): UserStore {
  return {
    async create({ id, accountTag, name, scopes, createdAtMs }) {
      await database.write(() =>
        database.run(
          'INSERT INTO users VALUES (?, ?, ?, ?, ?)',
          id,
          accountTag,
          name,
          formatScopes(scopes),
          createdAtMs,
        ),
      );
    },
    async get(accountTag, id) {
      const row = findUser(database, accountTag, id);
      return row === undefined ? undefined : toUser(row);
    },
    async list(accountTag) {
      return database.rows('SELECT * FROM users WHERE account_tag = ? ORDER BY name', accountTag).map(toUser);
    },
    async remove(accountTag, id) {
      return database.write(emit => {
        if (findUser(database, accountTag, id) === undefined) return false;
        removeTokensOf(database, 'user_id', id, emit);
        database.run('DELETE FROM users WHERE id = ?', id);
        return true;
      });
    },
    async setLoginCode({ digest, userId, expiresAtMs, makerId, tokenExpiresAtMs }) {
      await database.write(() => {
        if (makerId !== undefined && database.row('SELECT 1 FROM tokens WHERE id = ?', makerId) === undefined)
          throw new PosternError('store.failed', `Token ${makerId} was revoked`);
        database.run('DELETE FROM login_codes WHERE user_id = ?', userId);
        database.run(
          'INSERT INTO login_codes VALUES (?, ?, ?, ?, ?)',
          ...[digest, userId, expiresAtMs, makerId ?? null, tokenExpiresAtMs ?? null],
        );
      });
    },
    async takeLoginCode(digest, atMs) {
      // A wrong guess takes no write lock.
      if (database.row('SELECT 1 FROM login_codes WHERE digest = ?', digest) === undefined) return undefined;
      return database.write(() => {
        const code = database.row('DELETE FROM login_codes WHERE digest = ? RETURNING *', digest);
        if (code === undefined || integer(code, 'expires_ms') <= atMs) return undefined;
        const user = database.row('SELECT * FROM users WHERE id = ?', text(code, 'user_id'));
        if (user === undefined) return undefined;
        return {
          user: toUser(user),
          makerId: optionalText(code, 'maker_id'),
          tokenExpiresAtMs: optionalInteger(code, 'token_expires_ms'),
        };
      });
    },
  };
}

export function createGroupStore(database: Database): GroupStore {
  const addMember = (groupId: string, userId: string): void => {
    database.run('INSERT INTO group_members VALUES (?, ?) ON CONFLICT DO NOTHING', groupId, userId);
  };
  return {
    async create({ id, accountTag, name, createdAtMs, members }) {
      await database.write(() => {
        database.run('INSERT INTO groups VALUES (?, ?, ?, ?)', id, accountTag, name, createdAtMs);
        for (const userId of members) {
          requireUser(database, accountTag, userId);
          addMember(id, userId);
        }
      });
    },
    async list(accountTag) {
      return database
        .rows('SELECT * FROM groups WHERE account_tag = ? ORDER BY name', accountTag)
        .map(row => toGroup(database, row));
    },
    async remove(accountTag, id) {
      const removed = await database.write(() =>
        database.run('DELETE FROM groups WHERE id = ? AND account_tag = ?', id, accountTag),
      );
      return removed > 0;
    },
    async setMember(accountTag, groupId, userId, isMember) {
      return database.write(() => {
        const group = database.row('SELECT 1 FROM groups WHERE id = ? AND account_tag = ?', groupId, accountTag);
        if (group === undefined || findUser(database, accountTag, userId) === undefined) return false;
        if (isMember) addMember(groupId, userId);
        else database.run('DELETE FROM group_members WHERE group_id = ? AND user_id = ?', groupId, userId);
        return true;
      });
    },
  };
}

export function createDeviceStore(database: Database): DeviceStore {
  return {
    async create({ id, accountTag, userId, name, createdAtMs }) {
      await database.write(() => {
        requireUser(database, accountTag, userId);
        database.run('INSERT INTO devices VALUES (?, ?, ?, ?, ?)', id, accountTag, userId, name, createdAtMs);
      });
    },
    async list(accountTag) {
      return database.rows('SELECT * FROM devices WHERE account_tag = ? ORDER BY name', accountTag).map(toDevice);
    },
    async remove(accountTag, id) {
      return database.write(emit => {
        const row = database.row('SELECT 1 FROM devices WHERE id = ? AND account_tag = ?', id, accountTag);
        if (row === undefined) return false;
        removeTokensOf(database, 'device_id', id, emit);
        database.run('DELETE FROM devices WHERE id = ?', id);
        return true;
      });
    },
  };
}

function findUser(database: Database, accountTag: string, id: string): Row | undefined {
  return database.row('SELECT * FROM users WHERE id = ? AND account_tag = ?', id, accountTag);
}

function requireUser(database: Database, accountTag: string, id: string): void {
  if (findUser(database, accountTag, id) === undefined)
    throw new PosternError('store.failed', `User ${id} is not one of the account`);
}

function toUser(row: Row): UserRecord {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    name: text(row, 'name'),
    scopes: parseScopes(text(row, 'scopes')),
    createdAtMs: integer(row, 'created_ms'),
  };
}

function toGroup(database: Database, row: Row): GroupRecord {
  const id = text(row, 'id');
  const members = database.rows('SELECT user_id FROM group_members WHERE group_id = ? ORDER BY user_id', id);
  return {
    id,
    accountTag: text(row, 'account_tag'),
    name: text(row, 'name'),
    createdAtMs: integer(row, 'created_ms'),
    members: members.map(member => text(member, 'user_id')),
  };
}

function toDevice(row: Row): DeviceRecord {
  return {
    id: text(row, 'id'),
    accountTag: text(row, 'account_tag'),
    userId: text(row, 'user_id'),
    name: text(row, 'name'),
    createdAtMs: integer(row, 'created_ms'),
  };
}
