// What the calls on monitors, pools and load balancers share: reading records as documents, writing them back whole, and
// the limits of an account.

import { apiProblem, type ProblemName } from '../../control-plane/api-problem.ts';
import { type Caller, formatTime } from '../../control-plane/handler-context.ts';
import { isPosternError, type PosternError } from '../../errors/error.ts';
import { createTag } from '../../schema/api/id.ts';
import type { BalancingKind, BalancingRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';

/** Of each kind, in one account: far above what people make, and all of it in memory is some MB. */
export const maxRecords = 500;

const titles: Readonly<Record<BalancingKind, string>> = {
  monitor: 'Monitor',
  pool: 'Pool',
  balancer: 'Load balancer',
};

/** What a record is to become. */
export interface NewDocument {
  readonly name: string;
  readonly document: object;
  readonly uses: readonly string[];
}

export class Documents<Kind extends BalancingKind> {
  readonly #store: Store;
  readonly #kind: Kind;
  readonly #now: () => number;

  constructor(store: Store, kind: Kind, now: () => number) {
    this.#store = store;
    this.#kind = kind;
    this.#now = now;
  }

  /** The account's, oldest first; those of the zone alone where one is given. */
  async list({ accountTag }: Caller, zoneId?: string): Promise<readonly BalancingRecord[]> {
    const all = await this.#store.balancing.list(accountTag);
    return all.filter(one => one.kind === this.#kind && one.zoneId === zoneId);
  }

  /** Throws 'api.not-found': also for what is another account's. */
  async get(caller: Caller, id: string, zoneId?: string): Promise<BalancingRecord> {
    const found = (await this.list(caller, zoneId)).find(one => one.id === id.toLowerCase());
    if (found === undefined) throw this.#notFound();
    return found;
  }

  /** Throws 'api.conflict' when the name is taken, 'api.invalid' when the account has too many. */
  async create(caller: Caller, { name, document, uses }: NewDocument, zoneId?: string): Promise<BalancingRecord> {
    const present = await this.#store.balancing.list(caller.accountTag);
    if (present.filter(one => one.kind === this.#kind).length >= maxRecords)
      throw apiProblem('invalid', `An account has at most ${maxRecords} of these; delete one first`);
    const nowMs = this.#now();
    const id = createTag();
    const record: BalancingRecord = {
      ...{ id, kind: this.#kind, accountTag: caller.accountTag, zoneId, name: name === '' ? id : name },
      ...{
        document: JSON.stringify(document),
        uses: sorted(uses),
        version: 1,
        createdAtMs: nowMs,
        modifiedAtMs: nowMs,
      },
    };
    await this.#write(name, () => this.#store.balancing.create(record));
    return record;
  }

  /** Changes what is there still. Throws as `get` and `create`, and 'api.conflict' when somebody else changed it meanwhile. */
  async change(record: BalancingRecord, { name, document, uses }: NewDocument): Promise<BalancingRecord> {
    const { accountTag, id, version } = record;
    const changes = {
      ...{ name: name === '' ? id : name, document: JSON.stringify(document), uses: sorted(uses) },
      modifiedAtMs: this.#now(),
    };
    const changed = await this.#write(name, () =>
      this.#store.balancing.change(accountTag, this.#kind, id, version, changes),
    );
    if (changed === 'missing') throw this.#notFound();
    if (changed === 'stale') throw apiProblem('nameTaken', 'Somebody else changed it at the same time: try again');
    return changed;
  }

  /** Throws 'api.not-found', and 'api.invalid' when something uses it. */
  async remove({ accountTag }: Caller, { id }: BalancingRecord): Promise<{ readonly id: string }> {
    const removed = await this.#store.balancing.remove(accountTag, this.#kind, id);
    if (removed === 'missing') throw this.#notFound();
    if (removed === 'busy') {
      const users = (await this.#store.balancing.list(accountTag)).filter(one => one.uses.includes(id));
      const names = users.map(one => one.name).join(', ');
      throw apiProblem('balancingInUse', `${titles[this.#kind]} is used by ${names}: take it out there first`);
    }
    return { id };
  }

  async #write<T>(name: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      throw this.#translate(error, name);
    }
  }

  #translate(error: unknown, name: string): unknown {
    if (!isPosternError(error, 'store.conflict')) return error;
    const problem: ProblemName = this.#kind === 'balancer' ? 'hostnameTaken' : 'nameTaken';
    return apiProblem(problem, `The name ${name} is taken`);
  }

  #notFound(): PosternError {
    return apiProblem('notFound', `${titles[this.#kind]} not found`);
  }
}

/** A record as the API shows it. */
export function show<Document extends object>(record: BalancingRecord, document: Document) {
  const { id, createdAtMs, modifiedAtMs } = record;
  return { ...document, id, created_on: formatTime(createdAtMs), modified_on: formatTime(modifiedAtMs) };
}

function sorted(uses: readonly string[]): readonly string[] {
  return [...new Set(uses)].sort();
}
