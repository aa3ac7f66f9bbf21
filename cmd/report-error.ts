// How an error that ends the program is shown, and its exit code. Source: the table of errors; spec cli-and-api §1.

import { describeError, PosternError } from '../internal/errors/error.ts';
import type { CommandContext } from './context.ts';

export interface ErrorReport {
  /** Words of the command, for the hint about its help. */
  readonly path: readonly string[];
  readonly json: boolean;
}

/** Writes the error to stderr, as a sentence or as `{"error":{"code","message"}}`, and returns the exit code. */
export function reportError(error: unknown, report: ErrorReport, context: CommandContext): number {
  const code = error instanceof PosternError ? error.code : 'internal';
  const kind = error instanceof PosternError ? error.kind : undefined;
  const message = error instanceof PosternError ? error.message : describeError(error);
  if (report.json) {
    context.stderr.write(`${JSON.stringify({ error: { code, message } })}\n`);
    return kind?.exit ?? 1;
  }
  context.stderr.write(`${message}\n`);
  if (kind?.scope === 'usage') context.stderr.write(`See '${['postern', ...report.path].join(' ')} --help'.\n`);
  // A bug: the stack is what a report about it needs.
  if (kind === undefined && error instanceof Error && error.stack !== undefined)
    context.stderr.write(`${error.stack}\n`);
  return kind?.exit ?? 1;
}
