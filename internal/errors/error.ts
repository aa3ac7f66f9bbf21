// The one error class of the program. Foreign errors (errno, TLS, HTTP/2, QUIC) are translated into it once, where they
// are met; everybody else looks at `code`, never at message text.

import { type ErrorCode, type ErrorKind, errorTable } from './table.ts';

/** Extra facts for the log, never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

/** An error with a code of the table. The message is a sentence that names the wrong value and what would be right. */
export class PosternError extends Error {
  override readonly name = 'PosternError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; details?: ErrorDetails }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options?.details;
  }

  get kind(): ErrorKind {
    return errorTable[this.code];
  }
}

/** Whether `error` is ours, and of that code if one is given. */
export function isPosternError(error: unknown, code?: ErrorCode): error is PosternError {
  return error instanceof PosternError && (code === undefined || error.code === code);
}

/** The errno name (`ECONNREFUSED`) or Node error code (`ERR_TLS_CERT_ALTNAME_INVALID`) of a foreign error, if it has one. */
export function foreignCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether `error` is the system's answer to a call on a file, a socket or a process: `ENOSPC`, not a bug of ours. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && /^E[A-Z0-9]+$/.test(foreignCode(error) ?? '');
}

/** A text for logs: the message with those of its causes, outermost first. */
export function describeError(error: unknown): string {
  // A sentence that a cause follows has its full stop in the way.
  return chainOf(error)
    .map((text, at, all) => (at < all.length - 1 ? text.replace(/\.$/, '') : text))
    .join(': ');
}

/** What a line of a log says of an error that somebody must act on. */
export interface ErrorFields {
  readonly error: string;
  readonly code?: ErrorCode;
  /** Which part is at fault: `origin`, `edge`, `network`, `config`, … */
  readonly scope?: ErrorKind['scope'];
  /** What a person can do. */
  readonly remedy?: string;
}

/** For lines at level error, so that each has a code, the part at fault and what to do. */
export function errorFields(error: unknown): ErrorFields {
  const text = describeError(error);
  if (!(error instanceof PosternError)) return { error: text };
  const { remedy, scope } = error.kind;
  return { error: text, code: error.code, scope, remedy };
}

/** What lies behind `error`, outermost first, each in one line of at most 200 characters and without what was said before. */
export function causesOf(error: unknown): readonly string[] {
  const [, ...causes] = chainOf(error);
  return causes.map(text => {
    const line = inOneLine(text);
    return line.length > maxCauseLength ? `${line.slice(0, maxCauseLength - 1)}…` : line;
  });
}

/** A sentence or two. */
const maxCauseLength = 200;

function chainOf(error: unknown): string[] {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 6 && current !== undefined && current !== null; depth += 1) {
    const text = textOf(current);
    if (text !== '' && !parts.some(part => inOneLine(part).includes(inOneLine(text)))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts;
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Several addresses of one name fail together, and the error of all has no text of its own. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(textOf).join('; ');
  const text = error instanceof Error ? error.message || error.name : String(error);
  // Node's advice tells how to start Node. The code that knows the helpful setting gives advice of its own.
  return text.replace(nodeAdvice, '');
}

const nodeAdvice = /; if the root CA is installed locally, try running Node\.js with --use-system-ca/g;
