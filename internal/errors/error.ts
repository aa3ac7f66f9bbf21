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

/** A text for logs: the message with those of its causes, outermost first. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 6 && current !== undefined && current !== null; depth += 1) {
    const text = current instanceof Error ? current.message || current.name : String(current);
    if (text !== '' && !parts.some(part => part.includes(text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}
