// Translates what PostgreSQL and its driver report. An SQLSTATE tells what is wrong with a statement; everything else, and
// the states that tell of a server on its way down or not there for writing, means that the database is away.
// Source: PostgreSQL's documentation, appendix A.

import { DatabaseError } from 'pg';
import { PosternError } from '../../errors/error.ts';

/** Read only (a standby), too many connections, shutting down, crashed, starting up, dropped. */
const awayStates = new Set(['25006', '53300', '57P01', '57P02', '57P03', '57P05']);

/** Whether the connection, not the statement, is at fault. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return !(error instanceof PosternError || error instanceof TypeError);
  const { code = '' } = error;
  return code.startsWith('08') || awayStates.has(code);
}

/** `place`: the database for people, without a password. Gives PosternErrors back as they are. */
export function translate(error: unknown, place: string): PosternError {
  if (error instanceof PosternError) return error;
  if (isAway(error))
    return new PosternError('store.away', `The database ${place} does not answer: nothing was changed`, {
      cause: error,
    });
  switch (error instanceof DatabaseError ? error.code : undefined) {
    case '23505':
      return new PosternError('store.conflict', 'That name or route exists already', { cause: error });
    case '53100':
      return new PosternError('store.full', `The disk of the database ${place} is full: nothing was changed`, {
        cause: error,
      });
    case '55P03':
    case '57014':
      return new PosternError(
        'store.busy',
        `Another program held a lock of the database ${place} too long: nothing was changed. End its transaction, and try again`,
        { cause: error },
      );
    default:
      return new PosternError('store.failed', `The database ${place} refused a statement`, { cause: error });
  }
}
