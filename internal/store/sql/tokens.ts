// API tokens, and when they were last used, which is kept in the file of what may be lost.

import { PosternError } from '../../errors/error.ts';
import { createTag } from '../../schema/api/id.ts';
import type { ApiTokenRecord } from '../contract/records.ts';
import type { AccountStore, TokenUseStore } from '../contract/store.ts';
import { blob, integer, optionalInteger, optionalText, text } from './columns.ts';
import type { Database, Emit, Row, Sql } from './database.ts';

type TokenCalls = Pick<AccountStore, 'addToken' | 'tokenByDigest' | 'tokens' | 'knownTokens' | 'revokeToken'>;

export function createTokenCalls(database: Database): TokenCalls {
  return {
    async addToken(token) {
      const whole: ApiTokenRecord = {
        ...{ id: createTag(), userId: undefined, deviceId: undefined, parentId: undefined },
        ...{ scopes: ['all'], expiresAtMs: undefined },
        ...token,
      };
      await database.write(async sql => {
        await requireOwner(sql, whole);
        await sql.run(
          'INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
          whole.id,
          whole.digest,
          whole.accountTag,
          whole.userId ?? null,
          whole.deviceId ?? null,
          whole.label,
          formatScopes(whole.scopes),
          whole.createdAtMs,
          whole.expiresAtMs ?? null,
          whole.parentId ?? null,
        );
      });
      return whole;
    },
    async tokenByDigest(digest) {
      const row = await database.row('SELECT * FROM tokens WHERE digest = ?', digest);
      return row === undefined ? undefined : toToken(row);
    },
    async tokens(accountTag) {
      return (
        await database.rows('SELECT * FROM tokens WHERE account_tag = ? ORDER BY created_ms, id', accountTag)
      ).map(toToken);
    },
    async knownTokens(ids) {
      const known: string[] = [];
      for (const id of ids)
        if ((await database.row('SELECT 1 FROM tokens WHERE id = ?', id)) !== undefined) known.push(id);
      return known;
    },
    async revokeToken(accountTag, id) {
      return database.write(async (sql, emit) => {
        const known = await sql.row('SELECT 1 FROM tokens WHERE id = ? AND account_tag = ?', id, accountTag);
        if (known === undefined) return false;
        await removeTokensOf(sql, 'id', id, emit);
        return true;
      });
    },
  };
}

export function createTokenUseStore(presence: Database): TokenUseStore {
  return {
    async mark(tokenId, atMs) {
      await presence.write(
        async sql =>
          await sql.run(
            `INSERT INTO token_uses VALUES (?, ?)
           ON CONFLICT (token_id) DO UPDATE SET used_ms = excluded.used_ms WHERE excluded.used_ms > token_uses.used_ms`,
            tokenId,
            atMs,
          ),
      );
    },
    async of(tokenIds) {
      const uses = new Map<string, number>();
      for (const id of tokenIds) {
        const row = await presence.row('SELECT used_ms FROM token_uses WHERE token_id = ?', id);
        if (row !== undefined) uses.set(id, integer(row, 'used_ms'));
      }
      return uses;
    },
  };
}

/** Forgets when tokens were used that are no more. */
export async function forgetTokenUses(presence: Database, database: Database): Promise<void> {
  await presence.write(async sql => {
    for (const row of await sql.rows('SELECT token_id FROM token_uses')) {
      const id = text(row, 'token_id');
      if ((await database.row('SELECT 1 FROM tokens WHERE id = ?', id)) === undefined)
        await sql.run('DELETE FROM token_uses WHERE token_id = ?', id);
    }
  });
}

/** Removes the tokens of a user or a device, or one, with all that came of them, inside the caller's transaction. */
export async function removeTokensOf(
  sql: Sql,
  owner: 'user_id' | 'device_id' | 'id',
  id: string,
  emit: Emit,
): Promise<void> {
  const gone = await sql.rows(
    `WITH RECURSIVE gone (id) AS (
       SELECT id FROM tokens WHERE ${owner} = ?
       UNION SELECT tokens.id FROM tokens JOIN gone ON tokens.parent_id = gone.id)
     DELETE FROM tokens WHERE id IN (SELECT id FROM gone) RETURNING id`,
    id,
  );
  for (const row of gone) {
    const tokenId = text(row, 'id');
    await sql.run('DELETE FROM login_codes WHERE maker_id = ?', tokenId);
    emit({ kind: 'token-revoked', tokenId });
  }
}

export function formatScopes(scopes: readonly string[]): string {
  return scopes.join(' ');
}

export function parseScopes(scopes: string): readonly string[] {
  return scopes.split(' ').filter(scope => scope !== '');
}

/** A token of another account's user would act for somebody who is not asked. */
async function requireOwner(sql: Sql, { accountTag, userId, deviceId, parentId }: ApiTokenRecord): Promise<void> {
  const owned = (table: 'users' | 'devices' | 'tokens', id: string): Promise<Row | undefined> =>
    sql.row(`SELECT * FROM ${table} WHERE id = ? AND account_tag = ?`, id, accountTag);
  if (userId !== undefined && (await owned('users', userId)) === undefined)
    throw new PosternError('store.failed', `User ${userId} is not one of the token's account`);
  if (parentId !== undefined && (await owned('tokens', parentId)) === undefined)
    throw new PosternError('store.failed', `Token ${parentId} is not one of the account`);
  if (deviceId !== undefined && (await owned('devices', deviceId))?.user_id !== userId)
    throw new PosternError('store.failed', `Device ${deviceId} is not one of the token's user`);
}

function toToken(row: Row): ApiTokenRecord {
  return {
    id: text(row, 'id'),
    digest: blob(row, 'digest'),
    accountTag: text(row, 'account_tag'),
    userId: optionalText(row, 'user_id'),
    deviceId: optionalText(row, 'device_id'),
    parentId: optionalText(row, 'parent_id'),
    label: text(row, 'label'),
    scopes: parseScopes(text(row, 'scopes')),
    createdAtMs: integer(row, 'created_ms'),
    expiresAtMs: optionalInteger(row, 'expires_ms'),
  };
}
