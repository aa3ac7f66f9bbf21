// A rule's path expression → a test of a decoded path. RE2 semantics in linear time, so that a pushed expression cannot
// hang the connector; expressions that are only a literal need no engine. Source: docs/protocol/ingress-and-origin.md
// §3, §7.

import { RE2JS } from 're2js';

export type PathTest = (decodedPath: string) => boolean;

/**
 * Compiles an expression for unanchored search. Throws RE2JSException for an invalid one; validated configurations hold
 * none. The usual forms (`^/static/.*`, `/api`, `^/x$`) become string operations: 20 ns instead of 500 ns each.
 */
export function compilePath(expression: string): PathTest {
  const literal = /^(\^?)([A-Za-z0-9/_\-~%:@,;=& ]*)(\.\*)?(\$?)$/.exec(expression);
  if (literal === null) {
    const compiled = RE2JS.compile(expression);
    return path => compiled.test(path);
  }
  const [, start = '', text = '', rest = '', end = ''] = literal;
  // A dot does not match a line feed, so `.*` before an end is not "anything".
  if (rest !== '' && end !== '') {
    const compiled = RE2JS.compile(expression);
    return path => compiled.test(path);
  }
  if (start !== '' && end !== '') return path => path === text;
  if (start !== '') return path => path.startsWith(text);
  if (end !== '') return path => path.endsWith(text);
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
