// Writes the audit log: who changed what, from where, and what stood there before and after. It watches every call that
// changes something, and every one that reveals a secret, by the route alone: what stood there is read by the GET call of the
// same path, or found by its id in the listing above it. Secrets are left out (withoutSecrets).

import { createHash } from 'node:crypto';
import { formatPath } from '../api/path.ts';
import type { ApiRoute } from '../api/route.ts';
import { scopeOf } from '../api/route-scope.ts';
import { errorFields } from '../errors/error.ts';
import { maxPerPage } from '../schema/api/common.ts';
import type { ApiTokenRecord } from '../store/contract/records.ts';
import type { Store } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Caller } from './handler-context.ts';
import type { ServedCall } from './served-call.ts';

/** Largest document kept, in characters of JSON; of a larger one its length and digest are. */
export const maxAuditDocument = 16_384;
/** Pages of a listing that are looked through for what stood there. */
const maxPages = 20;

export interface AuditParts {
  readonly store: Store;
  readonly logger: Logger;
  readonly now: () => number;
}

type Params = Readonly<Record<string, string>>;

export interface Audit {
  /**
   * Call before the handler runs; undefined for a call that is not watched. The function that it gives is called with the
   * handler's result once the change is made, and never rejects: a change that cannot be recorded is logged as an error.
   */
  watch(route: ApiRoute, params: Params, caller: Caller): Promise<RecordResult | undefined>;
}

/** `replaced`: what the handler said, see `Caller.replaces`. */
export type RecordResult = (result: unknown, replaced: unknown) => Promise<void>;

/** `calls`: all that are served, among them the readers. */
export function createAudit(parts: AuditParts, calls: readonly ServedCall[]): Audit {
  const { now } = parts;
  return {
    async watch(route, params, caller) {
      if (!isWatched(route)) return undefined;
      const reader = route.method === 'GET' || route.method === 'POST' ? undefined : findReader(calls, route);
      const before = await readWith(reader, params, caller);
      return async (result, replaced) => {
        const after = reader === undefined ? result : await readWith(reader, params, caller);
        await recordChange(parts, {
          ...{ accountTag: caller.accountTag, token: caller.token, address: caller.address, atMs: now() },
          ...{ action: route.op, target: targetOf(route, params, result), before: before ?? replaced, after },
        });
      };
    },
  };
}

export interface Change {
  readonly accountTag: string;
  readonly token: Pick<ApiTokenRecord, 'id' | 'label' | 'userId'>;
  readonly address: string;
  readonly atMs: number;
  readonly action: string;
  readonly target: string;
  /** Documents; anything but an object or a list counts as none. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Never rejects. */
export async function recordChange({ store, logger }: Omit<AuditParts, 'now'>, change: Change): Promise<void> {
  const { accountTag, address, atMs, action, target, token, before, after } = change;
  try {
    const user = token.userId === undefined ? undefined : await store.users.get(accountTag, token.userId);
    await store.audit.add({
      ...{ accountTag, atMs, action, target, address },
      ...{ userId: token.userId ?? '', userName: user?.name ?? '', tokenId: token.id, tokenName: token.label },
      before: documentOf(before),
      after: documentOf(after),
    });
  } catch (error) {
    logger.error({ ...errorFields(error), action, target }, 'A change could not be recorded in the audit log');
  }
}

/** Pings change nothing, though they are sent by POST. */
function isWatched(route: ApiRoute): boolean {
  const scope = scopeOf(route);
  if (scope === undefined || scope === 'connect') return false;
  return route.method !== 'GET' || route.reveals === true;
}

interface Reader {
  readonly call: ServedCall;
  /** Parameter that names the item in a listing; undefined when the call gives the thing itself. */
  readonly item: string | undefined;
}

/** The call that shows what a path is about: nearest first. */
function findReader(calls: readonly ServedCall[], { path }: ApiRoute): Reader | undefined {
  const segments = path.split('/');
  for (let length = segments.length; length > 0; length -= 1) {
    const [, item] = /^\{(\w+)\}$/.exec(segments[length] ?? '') ?? [];
    if (length < segments.length && item === undefined) continue;
    // The whole account, or the zone, is not what the call is about.
    if (item === 'account' || item === 'zone') return undefined;
    const prefix = segments.slice(0, length).join('/');
    const call = calls.find(({ route }) => route.method === 'GET' && route.path === prefix && route.reveals !== true);
    if (call !== undefined) return { call, item };
  }
  return undefined;
}

/** What the reader gives of it; undefined when there is none, or it cannot be read: then the call itself will say why. */
async function readWith(reader: Reader | undefined, params: Params, caller: Caller): Promise<unknown> {
  if (reader === undefined) return undefined;
  const { call, item } = reader;
  const read = (query: unknown): Promise<unknown> =>
    call.handle({ params: { ...params }, query: call.route.query.parse(query), body: undefined }, caller);
  try {
    if (!call.route.paged) {
      const result = await read(call.route.query.safeParse(undefined).success ? undefined : {});
      return item === undefined ? result : findItem(result, params[item]);
    }
    for (let page = 1; page <= maxPages; page += 1) {
      const { items, total } = (await read({ page, per_page: maxPerPage })) as { items: unknown[]; total: number };
      if (item === undefined) return items;
      const found = findItem(items, params[item]);
      if (found !== undefined || page * maxPerPage >= total) return found;
    }
  } catch {
    // It is not there, or its listing refuses an empty query.
  }
  return undefined;
}

function findItem(items: unknown, id: string | undefined): unknown {
  const hasId = (one: unknown): boolean => typeof one === 'object' && one !== null && 'id' in one && one.id === id;
  return Array.isArray(items) ? items.find(hasId) : undefined;
}

/** The path below the account, and the id of what was made. */
function targetOf(route: ApiRoute, params: Params, result: unknown): string {
  const path = formatPath(route.path, params).replace(/^\/accounts\/[^/]+\//, '');
  const isMade = route.method === 'POST' && typeof result === 'object' && result !== null && 'id' in result;
  return isMade ? `${path}/${String(result.id)}` : path;
}

function documentOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const text = JSON.stringify(withoutSecrets(value));
  if (text.length <= maxAuditDocument) return text;
  return JSON.stringify({ omitted_length: text.length, sha256: createHash('sha256').update(text).digest('hex') });
}

/** Keys whose texts let somebody in: secrets and tokens of tunnels, `value` of API tokens, login codes. */
const secretKeys = /secret|password|credential|private_?key|token$|code$|^value$/i;

/** A copy of a document with the texts of such keys replaced. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      typeof one === 'string' && secretKeys.test(key) ? '[secret]' : withoutSecrets(one),
    ]),
  );
}
