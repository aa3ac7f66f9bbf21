// The accounts an edge has by itself, made on first start: `local`, whose API credential lies in the state directory for
// the commands of the same user, and `quick`, which owns the quick tunnels and has no credential at all.
// Source: docs/protocol/commands-and-api.md §7.3.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createApiClient } from '../api/client.ts';
import { encodeOriginCert, type OriginCert, parseOriginCert } from '../credentials/origin-cert.ts';
import { readPrivateFile, replacePrivateFile } from '../credentials/private-file.ts';
import { isPosternError, PosternError } from '../errors/error.ts';
import { createTag } from '../schema/api/id.ts';
import type { AccountRecord, ZoneRecord } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import { createApiToken, digestApiToken } from '../store/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface LocalAccounts {
  /** Account of the operator. */
  readonly local: AccountRecord;
  /** Account that owns quick tunnels. */
  readonly quick: AccountRecord;
  /** The operator's API credential, as in `<stateDir>/cert.pem`. */
  readonly cert: OriginCert;
}

export interface LocalAccountsOptions {
  readonly stateDir: string;
  readonly domain: string;
  readonly apiUrl: string;
  /** Told when the credential in the state directory is of another database. */
  readonly logger?: Logger | undefined;
  readonly now?: (() => number) | undefined;
}

/** An edge of this machine answers at once. */
const probeTimeoutMs = 2_000;
/** Name of the operator's API credential in the state directory. */
const localCertName = 'cert.pem';

/**
 * Finds or makes both accounts, sets their zone to `domain`, and makes sure that the credential in the state directory
 * (0600) works and names `apiUrl`, or another edge on that directory which answers there. Safe when several edges start at once on one state directory.
 */
export async function ensureLocalAccounts(store: Store, options: LocalAccountsOptions): Promise<LocalAccounts> {
  const now = options.now ?? Date.now;
  const local = await ensureAccount(store, 'local', options.domain, now());
  const quick = await ensureAccount(store, 'quick', options.domain, now());
  const cert = await ensureCert(store, local, options, now());
  return { local: local.account, quick: quick.account, cert };
}

interface AccountWithZone {
  readonly account: AccountRecord;
  readonly zone: ZoneRecord;
}

async function ensureAccount(store: Store, name: string, domain: string, nowMs: number): Promise<AccountWithZone> {
  const present = await store.accounts.byName(name);
  if (present !== undefined) {
    const [zone] = await store.accounts.zonesOf(present.tag);
    if (zone === undefined) throw new PosternError('store.failed', `The account ${name} has no zone`);
    if (zone.domain !== domain) await store.accounts.setZoneDomain(zone.id, domain);
    return { account: present, zone: { ...zone, domain } };
  }
  const tag = createTag();
  const account: AccountRecord = { tag, name, createdAtMs: nowMs };
  const zone: ZoneRecord = { id: createTag(), accountTag: tag, domain };
  try {
    await store.accounts.create(account, zone, {
      id: randomUUID(),
      accountTag: tag,
      name: 'default',
      comment: 'Made with the account',
      isDefault: true,
      createdAtMs: nowMs,
      deletedAtMs: undefined,
    });
  } catch (error) {
    // Another edge on the same state directory was first.
    if (isPosternError(error, 'store.conflict')) return ensureAccount(store, name, domain, nowMs);
    throw error;
  }
  return { account, zone };
}

async function ensureCert(
  store: Store,
  { account, zone }: AccountWithZone,
  options: Pick<LocalAccountsOptions, 'stateDir' | 'apiUrl' | 'logger'>,
  nowMs: number,
): Promise<OriginCert> {
  const path = join(options.stateDir, localCertName);
  const text = readPrivateFile(path);
  const present = text === undefined ? undefined : tryParse(text);
  if (present !== undefined && present.accountId === account.tag && present.zoneId === zone.id) {
    const known = await store.accounts.tokenByDigest(digestApiToken(present.apiToken));
    if (known?.accountTag === account.tag) {
      // Another edge on this state directory that was here first keeps its address there.
      if (present.apiUrl === options.apiUrl || (await isServed(present, options.stateDir))) return present;
      const moved: OriginCert = { ...present, apiUrl: options.apiUrl };
      replacePrivateFile(path, encodeOriginCert(moved));
      return moved;
    }
  }
  if (text !== undefined && present !== undefined) {
    // The database that it is of may come back, from a backup.
    const kept = `${path}.${nowMs}.kept`;
    replacePrivateFile(kept, text);
    options.logger?.warn(
      { cert: path, kept },
      'edge.db does not know the credential in cert.pem, which is kept aside: was edge.db lost or replaced? ' +
        'Tunnels, users and tokens are those of edge.db; to have the earlier ones, stop the edge and restore its edge.db',
    );
  }
  const apiToken = createApiToken();
  await store.accounts.addToken({
    digest: digestApiToken(apiToken),
    accountTag: account.tag,
    label: 'local credential file',
    createdAtMs: nowMs,
  });
  const cert: OriginCert = { zoneId: zone.id, accountId: account.tag, apiToken, apiUrl: options.apiUrl };
  replacePrivateFile(path, encodeOriginCert(cert));
  return cert;
}

/** Whether an edge answers to the credential at the address that it names. */
async function isServed(cert: OriginCert, stateDir: string): Promise<boolean> {
  if (cert.apiUrl === undefined) return false;
  const client = createApiClient({
    apiUrl: cert.apiUrl,
    apiToken: cert.apiToken,
    userAgent: 'postern',
    caPem: readPrivateFile(join(stateDir, 'ca.pem')),
    timeoutMs: probeTimeoutMs,
  });
  try {
    await client.listNetworks({ params: { account: cert.accountId }, query: {} });
    return true;
  } catch {
    // Nobody listens there, or somebody else does.
    return false;
  }
}

function tryParse(text: string): OriginCert | undefined {
  try {
    return parseOriginCert(text);
  } catch (error) {
    // A damaged file is made anew: it is the edge's own, nobody else writes it.
    if (isPosternError(error, 'credentials.invalid')) return undefined;
    throw error;
  }
}
