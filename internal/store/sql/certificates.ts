// Certificates of public authorities: what was given, what was asked for, and the accounts to ask by.

import type { AuthorityAccountRecord, CertificateRecord, IssuedRecord } from '../contract/records.ts';
import type { CertificateStore } from '../contract/store.ts';
import { blob, integer, optionalText, text } from './columns.ts';
import type { Database, Row } from './database.ts';

export function createCertificateStore(database: Database): CertificateStore {
  const setTime = (columns: string, ...values: (string | number | Uint8Array)[]): Promise<void> =>
    database.write(async sql => {
      await sql.run(`UPDATE certificates SET ${columns} WHERE authority = ? AND name = ?`, ...values);
    });
  return {
    async list(authority) {
      const rows = await database.rows('SELECT * FROM certificates WHERE authority = ? ORDER BY name', authority);
      return rows.map(toCertificate);
    },
    async claim({ authority, name, accountTag, nowMs, untilMs, sinceMs, maxOfAccount, maxOfAuthority }) {
      return database.write(async sql => {
        const known = await sql.row('SELECT * FROM certificates WHERE authority = ? AND name = ?', authority, name);
        if (known !== undefined && integer(known, 'next_ms') > nowMs) return 'held';
        await sql.run('DELETE FROM certificate_orders WHERE authority = ? AND at_ms <= ?', authority, sinceMs);
        const counted = await sql.row(
          'SELECT count(*) AS of_all, count(*) FILTER (WHERE account_tag = ?) AS of_account FROM certificate_orders WHERE authority = ?',
          accountTag,
          authority,
        );
        // A renewal must not fail because others ask for new names.
        if (known?.chain === undefined || known.chain === null) {
          if (counted === undefined || integer(counted, 'of_all') >= maxOfAuthority) return 'authority';
          if (integer(counted, 'of_account') >= maxOfAccount) return 'account';
          await sql.run('INSERT INTO certificate_orders VALUES (?, ?, ?)', authority, accountTag, nowMs);
        }
        await sql.run(
          'INSERT INTO certificates (authority, name, account_tag, attempted_ms, next_ms, failures) VALUES (?, ?, ?, ?, ?, 0) ' +
            'ON CONFLICT (authority, name) DO UPDATE SET account_tag = excluded.account_tag, attempted_ms = excluded.attempted_ms, ' +
            'next_ms = excluded.next_ms',
          authority,
          name,
          accountTag,
          nowMs,
          untilMs,
        );
        return 'claimed';
      });
    },
    async keep(authority, name, { chain, sealedKey, issuedAtMs, expiresAtMs }, nextAtMs) {
      await setTime(
        'chain = ?, sealed_key = ?, issued_ms = ?, expires_ms = ?, next_ms = ?, failures = 0, problem = NULL',
        chain,
        sealedKey,
        issuedAtMs,
        expiresAtMs,
        nextAtMs,
        authority,
        name,
      );
    },
    fail: (authority, name, problem, nextAtMs) =>
      setTime('problem = ?, next_ms = ?, failures = failures + 1', problem, nextAtMs, authority, name),
    postpone: (authority, name, nextAtMs) => setTime('next_ms = ?', nextAtMs, authority, name),
    async remove(authority, name) {
      await database.write(async sql => {
        await sql.run('DELETE FROM certificates WHERE authority = ? AND name = ?', authority, name);
      });
    },
    async account(authority) {
      const row = await database.row('SELECT * FROM authority_accounts WHERE authority = ?', authority);
      return row === undefined ? undefined : toAccount(row);
    },
    async setAccount({ authority, url, sealedKey }) {
      await database.write(async sql => {
        await sql.run(
          'INSERT INTO authority_accounts VALUES (?, ?, ?) ON CONFLICT (authority) DO UPDATE SET url = excluded.url, sealed_key = excluded.sealed_key',
          authority,
          url,
          sealedKey,
        );
      });
    },
  };
}

function toAccount(row: Row): AuthorityAccountRecord {
  return { authority: text(row, 'authority'), url: text(row, 'url'), sealedKey: blob(row, 'sealed_key') };
}

function toCertificate(row: Row): CertificateRecord {
  return {
    authority: text(row, 'authority'),
    name: text(row, 'name'),
    accountTag: text(row, 'account_tag'),
    issued: toIssued(row),
    attemptedAtMs: integer(row, 'attempted_ms'),
    nextAtMs: integer(row, 'next_ms'),
    failures: integer(row, 'failures'),
    problem: optionalText(row, 'problem'),
  };
}

function toIssued(row: Row): IssuedRecord | undefined {
  if (row.chain === null) return undefined;
  return {
    chain: text(row, 'chain'),
    sealedKey: blob(row, 'sealed_key'),
    issuedAtMs: integer(row, 'issued_ms'),
    expiresAtMs: integer(row, 'expires_ms'),
  };
}
