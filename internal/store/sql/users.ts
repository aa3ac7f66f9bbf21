// Users, their groups and devices.

import { PosternError } from '../../errors/error.ts';
import type { DeviceRecord, GroupRecord, UserRecord } from '../contract/records.ts';
import type { DeviceStore, GroupStore, UserStore } from '../contract/store.ts';
import { integer, optionalInteger, optionalText, text } from './columns.ts';
import type { Database, Row, Sql } from './database.ts';
import { formatScopes, parseScopes, removeTokensOf } from './tokens.ts';

export function createUserStore(database: Database): UserStore {
  return {
    async create({ id, accountTag, name, scopes, createdAtMs }) {
      await database.write(
        async sql =>
          await sql.run(
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
      const row = await findUser(database, accountTag, id);
      return row === undefined ? undefined : toUser(row);
    },
    async list(accountTag) {
      return (await database.rows('SELECT * FROM users WHERE account_tag = ? ORDER BY name', accountTag)).map(toUser);
    },
    async remove(accountTag, id) {
      return database.write(async (sql, emit) => {
        if ((await findUser(sql, accountTag, id)) === undefined) return false;
        await removeTokensOf(sql, 'user_id', id, emit);
        await sql.run('DELETE FROM users WHERE id = ?', id);
        return true;
      });
    },
    async setLoginCode({ digest, userId, expiresAtMs, makerId, tokenExpiresAtMs }) {
      await database.write(async sql => {
        if (makerId !== undefined && (await sql.row('SELECT 1 FROM tokens WHERE id = ?', makerId)) === undefined)
          throw new PosternError('store.failed', `Token ${makerId} was revoked`);
        await sql.run('DELETE FROM login_codes WHERE user_id = ?', userId);
        await sql.run(
          'INSERT INTO login_codes VALUES (?, ?, ?, ?, ?)',
          ...[digest, userId, expiresAtMs, makerId ?? null, tokenExpiresAtMs ?? null],
        );
      });
    },
    async takeLoginCode(digest, atMs) {
      // A wrong guess takes no write lock.
      if ((await database.row('SELECT 1 FROM login_codes WHERE digest = ?', digest)) === undefined) return undefined;
      return database.write(async sql => {
        const code = await sql.row('DELETE FROM login_codes WHERE digest = ? RETURNING *', digest);
        if (code === undefined || integer(code, 'expires_ms') <= atMs) return undefined;
        const user = await sql.row('SELECT * FROM users WHERE id = ?', text(code, 'user_id'));
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
  const addMember = async (sql: Sql, groupId: string, userId: string): Promise<void> => {
    await sql.run('INSERT INTO group_members VALUES (?, ?) ON CONFLICT DO NOTHING', groupId, userId);
  };
  return {
    async create({ id, accountTag, name, createdAtMs, members }) {
      await database.write(async sql => {
        await sql.run('INSERT INTO groups VALUES (?, ?, ?, ?)', id, accountTag, name, createdAtMs);
        for (const userId of members) {
          await requireUser(sql, accountTag, userId);
          await addMember(sql, id, userId);
        }
      });
    },
    async list(accountTag) {
      const groups = await database.rows('SELECT * FROM groups WHERE account_tag = ? ORDER BY name', accountTag);
      const members = await database.rows(
        `SELECT group_id, user_id FROM group_members JOIN groups ON groups.id = group_id WHERE account_tag = ?
         ORDER BY user_id`,
        accountTag,
      );
      const byGroup = Map.groupBy(members, row => row.group_id);
      return groups.map(row => toGroup(row, byGroup.get(row.id) ?? []));
    },
    async remove(accountTag, id) {
      const removed = await database.write(
        async sql => await sql.run('DELETE FROM groups WHERE id = ? AND account_tag = ?', id, accountTag),
      );
      return removed > 0;
    },
    async setMember(accountTag, groupId, userId, isMember) {
      return database.write(async sql => {
        const group = await sql.row('SELECT 1 FROM groups WHERE id = ? AND account_tag = ?', groupId, accountTag);
        if (group === undefined || (await findUser(sql, accountTag, userId)) === undefined) return false;
        if (isMember) await addMember(sql, groupId, userId);
        else await sql.run('DELETE FROM group_members WHERE group_id = ? AND user_id = ?', groupId, userId);
        return true;
      });
    },
  };
}

export function createDeviceStore(database: Database): DeviceStore {
  return {
    async create({ id, accountTag, userId, name, createdAtMs }) {
      await database.write(async sql => {
        await requireUser(sql, accountTag, userId);
        await sql.run('INSERT INTO devices VALUES (?, ?, ?, ?, ?)', id, accountTag, userId, name, createdAtMs);
      });
    },
    async list(accountTag) {
      return (await database.rows('SELECT * FROM devices WHERE account_tag = ? ORDER BY name', accountTag)).map(
        toDevice,
      );
    },
    async remove(accountTag, id) {
      return database.write(async (sql, emit) => {
        const row = await sql.row('SELECT 1 FROM devices WHERE id = ? AND account_tag = ?', id, accountTag);
        if (row === undefined) return false;
        await removeTokensOf(sql, 'device_id', id, emit);
        await sql.run('DELETE FROM devices WHERE id = ?', id);
        return true;
      });
    },
  };
}

async function findUser(sql: Sql, accountTag: string, id: string): Promise<Row | undefined> {
  return await sql.row('SELECT * FROM users WHERE id = ? AND account_tag = ?', id, accountTag);
}

async function requireUser(sql: Sql, accountTag: string, id: string): Promise<void> {
  if ((await findUser(sql, accountTag, id)) === undefined)
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

/** `members`: its rows of `group_members`. */
function toGroup(row: Row, members: readonly Row[]): GroupRecord {
  return {
    id: text(row, 'id'),
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
