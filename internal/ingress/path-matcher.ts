// A rule's path expression → a test of a decoded path; expressions that are only a literal need no engine. Source:
// docs/protocol/ingress-and-origin.md §3, §7.

import { pathEngine, plainPath } from '../schema/path-expression.ts';

export type PathTest = (decodedPath: string) => boolean;

/**
 * Compiles an expression for unanchored search. Throws RE2JSException for an invalid one; validated configurations hold
 * none. The usual forms (`^/static/.*`, `/api`, `^/x$`) become string operations: 20 ns instead of 500 ns each.
 */
export function compilePath(expression: string): PathTest {
  const plain = plainPath(expression);
  // A dot does not match a line feed, so `.*` before an end is not "anything".
  if (plain === undefined || (plain.anyRest && plain.toEnd)) {
    const compiled = pathEngine().RE2JS.compile(expression);
    return path => compiled.test(path);
  }
  const { fromStart, text, toEnd } = plain;
  if (fromStart && toEnd) return path => path === text;
  if (fromStart) return path => path.startsWith(text);
  if (toEnd) return path => path.endsWith(text);
  return path => path.includes(text);
}

/**
 * The path of a request target: without query, percent-decoded, not normalised. Escapes that are none stay as they are;
 * bytes that are no UTF-8 become U+FFFD.
 */
export function decodePath(target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (!path.includes('%')) return path;
  return path.replace(/(?:%[0-9A-Fa-f]{2})+/g, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}
