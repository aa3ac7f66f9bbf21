// How an error that ends the program is shown, and its exit code. docs/errors.md describes both forms. Source: the table of
// errors; docs/protocol/commands-and-api.md §1.

import { causesOf, isSystemError, PosternError } from '../internal/errors/error.ts';
import { printable } from '../internal/telemetry/printable.ts';
import type { CommandContext } from './context.ts';

export interface ErrorReport {
  /** Words of the command, for the hint about its help. */
  readonly path: readonly string[];
  readonly json: boolean;
}

/**
 * Writes the error to stderr, as a sentence with its code and a line for each cause, or as
 * `{"error":{"code","message","causes"}}`, and returns the exit code.
 */
export function reportError(error: unknown, report: ErrorReport, context: CommandContext): number {
  const code = error instanceof PosternError ? error.code : 'internal';
  const kind = error instanceof PosternError ? error.kind : undefined;
  const message = error instanceof Error ? error.message || error.name : String(error);
  const causes = causesOf(error);
  if (report.json) {
    const shown = causes.length === 0 ? { code, message } : { code, message, causes };
    context.stderr.write(`${JSON.stringify({ error: shown })}\n`);
    return kind?.exit ?? 1;
  }
  // At the end of the first line, so that scripts which know how a message begins find it.
  context.stderr.write(`${printable(message).replace(/\n|$/, rest => ` [${code}]${rest}`)}\n`);
  for (const cause of causes) context.stderr.write(`  because: ${printable(cause)}\n`);
  if (kind?.scope === 'usage') context.stderr.write(`See '${['postern', ...report.path].join(' ')} --help'.\n`);
  // A bug: the stack is what a report about it needs. What the system refused is none.
  if (kind === undefined && !isSystemError(error) && error instanceof Error && error.stack !== undefined)
    context.stderr.write(`${error.stack}\n`);
  return kind?.exit ?? 1;
}
