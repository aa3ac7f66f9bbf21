// Page sizes of listings. Source: docs/protocol/commands-and-api.md §9.1 (pagination), §3 (max-fetch-size: 0 = the
// server's default).

import { maxPerPage } from '../schema/api/common.ts';

const defaultPerPage = 100;

/** The page size a listing uses for what was asked. */
export function perPageOf(query: { readonly per_page: number }): number {
  return query.per_page === 0 ? defaultPerPage : Math.min(query.per_page, maxPerPage);
}
