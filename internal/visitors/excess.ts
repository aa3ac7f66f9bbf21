// Heads of requests that are too large to pass on. docs/limits.md has the table.

import { maxForwardedBytes, maxTargetBytes, maxValueBytes } from './limits.ts';
import type { VisitorRequest } from './visitor.ts';

/** What is refused here, because some connector could not take it. */
export function excessOf(
  request: VisitorRequest,
): { readonly kind: 'target-too-long' | 'too-large'; readonly text: string } | undefined {
  const { headers, host, method, path } = request;
  if (path.length > maxTargetBytes)
    return {
      kind: 'target-too-long',
      text: `The path has ${path.length} bytes; at most ${maxTargetBytes} are passed on.`,
    };
  let bytes = method.length + host.length + path.length + headers.length * 16;
  for (const text of headers) {
    if (text.length > maxValueBytes)
      return { kind: 'too-large', text: `A header has ${text.length} bytes; at most ${maxValueBytes} are passed on.` };
    bytes += text.length;
  }
  if (bytes <= maxForwardedBytes) return undefined;
  return { kind: 'too-large', text: `The head has ${bytes} bytes; at most ${maxForwardedBytes} are passed on.` };
}
