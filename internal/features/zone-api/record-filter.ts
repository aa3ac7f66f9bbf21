// Which DNS records a listing wants, and in which order: the filters of the public v4 API, all or any of them.

import type * as z from 'zod';
import type { dnsRecordQuerySchema } from '../../schema/api/zone.ts';

type Query = z.output<typeof dnsRecordQuerySchema>;

export interface FilteredRecord {
  readonly type: string;
  readonly name: string;
  readonly content: string;
  readonly comment: string | null;
  readonly ttl: number;
  readonly proxied: boolean;
}

type Judge = (record: FilteredRecord) => boolean;

const tests: Readonly<Record<string, (text: string, wanted: string) => boolean>> = {
  exact: (text, wanted) => text === wanted,
  contains: (text, wanted) => text.includes(wanted),
  startswith: (text, wanted) => text.startsWith(wanted),
  endswith: (text, wanted) => text.endsWith(wanted),
};

/** Texts are compared in any case. */
export function recordFilter(query: Query): Judge {
  const { type, proxied, search } = query;
  const judges: Judge[] = [];
  for (const field of ['name', 'content', 'comment'] as const) {
    for (const [operator, test] of Object.entries({ '': tests.exact, ...tests })) {
      const wanted = query[(operator === '' ? field : `${field}.${operator}`) as keyof Query];
      if (typeof wanted !== 'string') continue;
      judges.push(record => test?.((record[field] ?? '').toLowerCase(), wanted.toLowerCase()) === true);
    }
  }
  if (type !== undefined) judges.push(record => record.type === type.toUpperCase());
  if (proxied !== undefined) judges.push(record => record.proxied === proxied);
  const found: Judge = record =>
    search === undefined ||
    [record.name, record.content, record.comment ?? ''].some(text => text.toLowerCase().includes(search.toLowerCase()));
  if (judges.length === 0) return found;
  return query.match === 'any'
    ? record => judges.some(judge => judge(record)) && found(record)
    : record => judges.every(judge => judge(record)) && found(record);
}

/** Equal ones by name. */
export function recordOrder({ order, direction }: Query): (left: FilteredRecord, right: FilteredRecord) => number {
  const sign = direction === 'asc' ? 1 : -1;
  const compare = (left: string | number | boolean, right: string | number | boolean): number =>
    left < right ? -sign : left > right ? sign : 0;
  return (left, right) => compare(left[order], right[order]) || compare(left.name, right.name);
}
