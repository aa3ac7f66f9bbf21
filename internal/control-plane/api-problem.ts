// Errors of the control plane as callers see them: an HTTP status and the number in the envelope. Errors without a number
// are ours alone: they are logged, and the caller gets a text without particulars. Source:
// docs/protocol/commands-and-api.md §9.1, §9.4, §9.5.

import { PosternError } from '../errors/error.ts';
import type { ErrorCode } from '../errors/table.ts';

/** Numbers in `errors[].code`. Those that stock tools know keep their meaning; the rest are ours. */
export const problemCodes = {
  internal: 1000,
  /** As the v4 API answers about a token that is not one. */
  invalidToken: 1000,
  invalid: 1001,
  notFound: 1002,
  hostnameTaken: 1003,
  nameTaken: 1013,
  routeExists: 1014,
  tunnelInUse: 1022,
  networkInUse: 1030,
  defaultNetwork: 1031,
  noPrivateRoute: 1040,
  balancingInUse: 1050,
  noRoute: 7003,
  forbidden: 9109,
  unauthorized: 10_000,
  rateLimited: 10_429,
  recordMissing: 81_044,
  recordExists: 81_053,
} as const;

export type ProblemName = keyof typeof problemCodes;

const errorCodes: Readonly<Record<ProblemName, ErrorCode>> = {
  internal: 'api.failed',
  invalidToken: 'api.unauthorized',
  invalid: 'api.invalid',
  notFound: 'api.not-found',
  hostnameTaken: 'api.invalid',
  nameTaken: 'api.conflict',
  routeExists: 'api.invalid',
  tunnelInUse: 'api.invalid',
  networkInUse: 'api.invalid',
  defaultNetwork: 'api.invalid',
  noPrivateRoute: 'api.not-found',
  balancingInUse: 'api.invalid',
  noRoute: 'api.not-found',
  forbidden: 'api.unauthorized',
  unauthorized: 'api.unauthorized',
  rateLimited: 'api.rate-limited',
  recordMissing: 'api.not-found',
  recordExists: 'api.invalid',
};

const statuses: Partial<Record<ErrorCode, number>> = {
  'api.invalid': 400,
  'api.unauthorized': 403,
  'api.not-found': 404,
  'api.conflict': 409,
  'api.rate-limited': 429,
};

/** Statuses that differ from that of the error's code. */
const ownStatuses: Partial<Record<ProblemName, number>> = { invalidToken: 401 };

/** An error that the caller is told about. */
export function apiProblem(name: ProblemName, message: string): PosternError {
  return new PosternError(errorCodes[name], message, {
    details: { apiCode: problemCodes[name], status: ownStatuses[name] },
  });
}

/** How an error is answered; `undefined` for one that is not the caller's business. */
export function answerOf(
  error: unknown,
): { readonly status: number; readonly code: number; readonly message: string } | undefined {
  if (!(error instanceof PosternError)) return undefined;
  const apiCode = error.details?.apiCode;
  const own = error.details?.status;
  const status = typeof own === 'number' ? own : statuses[error.code];
  return typeof apiCode === 'number' && status !== undefined
    ? { status, code: apiCode, message: error.message }
    : undefined;
}
