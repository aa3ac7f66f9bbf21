// The generated tables of docs/errors.md: every error code, and the exit codes.

import { type ErrorKind, type ErrorScope, errorTable, type Retry } from '../../internal/errors/table.ts';
import { table } from './markdown.ts';

/** Where on the way between a person, a visitor and an origin the failure lies. */
const places: Readonly<Record<ErrorScope, string>> = {
  usage: 'your command',
  config: 'settings and files of this machine',
  credentials: 'credentials',
  network: 'the network between the two ends',
  protocol: 'the other end',
  origin: 'origin',
  visitor: 'visitor or client',
  edge: 'edge',
  store: 'the database of the edge',
  internal: 'this program',
};

const retries: Readonly<Record<Retry, string>> = {
  never: 'no',
  later: 'yes, later',
  elsewhere: 'yes, at another address',
};

/** Every code with its place, exit code, whether trying again helps, what it means and what to do. */
export function errorTableText(): string {
  const kinds: readonly (readonly [string, ErrorKind])[] = Object.entries(errorTable);
  const rows = kinds.map(([code, kind]) => [
    `\`${code}\``,
    places[kind.scope],
    String(kind.exit),
    retries[kind.retry],
    kind.meaning,
    kind.remedy,
  ]);
  return table(['code', 'where', 'exit code', 'try again', 'meaning', 'what to do'], rows);
}

const exitTexts: Readonly<Record<0 | 11 | ErrorKind['exit'], string>> = {
  0: 'Success, and a graceful stop',
  1: 'Any other failure',
  2: 'Credentials missing, invalid or refused',
  3: 'Configuration missing or invalid',
  10: 'There was no update: it failed, or what was offered was refused',
  11: 'The program was updated: by `postern update`, or by `tunnel run`, which is to be started again',
  64: 'The command line is wrong',
};

/** Exit codes with the error codes that lead to them. */
export function exitCodeTable(): string {
  const kinds: readonly (readonly [string, ErrorKind])[] = Object.entries(errorTable);
  const rows = Object.entries(exitTexts).map(([exit, text]) => {
    const codes = kinds.filter(([, kind]) => String(kind.exit) === exit).map(([code]) => `\`${code}\``);
    return [exit, text, exit === '1' ? 'all others' : codes.join(', ')];
  });
  return table(['exit code', 'meaning', 'error codes'], rows);
}
