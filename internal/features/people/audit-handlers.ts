// The audit log, to be read. It is written where calls are served (control-plane/audit.ts).

import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatTime } from '../../control-plane/handler-context.ts';
import { perPageOf } from '../../control-plane/paging.ts';
import type { ApiAuditEntry } from '../../schema/api/people.ts';
import type { AuditEntry } from '../../store/contract/records.ts';
import type { PeopleParts } from './shapes.ts';

export function createAuditHandlers({ store }: PeopleParts): Pick<ApiHandlers<Caller>, 'listAudit'> {
  return {
    async listAudit({ query }, { accountTag }) {
      const { items, total } = await store.audit.list(accountTag, {
        sinceMs: parseTime('since', query.since),
        beforeMs: parseTime('before', query.before),
        user: query.user,
        action: query.action,
        page: query.page,
        perPage: perPageOf(query),
      });
      return { items: items.map(showEntry), total };
    },
  };
}

function parseTime(key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw apiProblem('invalid', `${key} must be an RFC 3339 time, not ${JSON.stringify(text)}`);
  return ms;
}

function showEntry(entry: AuditEntry): ApiAuditEntry {
  return {
    id: entry.id,
    when: formatTime(entry.atMs),
    action: entry.action,
    target: entry.target,
    actor: {
      user_id: entry.userId,
      user_name: entry.userName,
      token_id: entry.tokenId,
      token_name: entry.tokenName,
      ip: entry.address,
    },
    before: parseDocument(entry.before),
    after: parseDocument(entry.after),
  };
}

/** The texts were written by JSON.stringify. */
function parseDocument(text: string | undefined): unknown {
  return text === undefined ? null : (JSON.parse(text) as unknown);
}
