// The trace in the headers of a request: read where it comes in, and told to whoever is next. Source: W3C Trace Context §3.

import {
  formatTraceparent,
  parseTraceparent,
  type TraceContext,
  traceparentHeader,
  tracestateHeader,
} from './trace-context.ts';

/** The span that asked, in a flat list [name, value, …]. Undefined for none, and for several, which contradict each other. */
export function readTraceparent(headers: readonly string[]): TraceContext | undefined {
  let found: string | undefined;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (!isNamed(headers[index], traceparentHeader)) continue;
    if (found !== undefined) return undefined;
    found = headers[index + 1];
  }
  return found === undefined ? undefined : parseTraceparent(found.trim());
}

/** The same list with `context` as the one that asks. What vendors added (`tracestate`) stays with its trace only. */
export function withTraceparent(headers: readonly string[], context: TraceContext, isNewTrace: boolean): string[] {
  const list: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string;
    if (isNamed(name, traceparentHeader) || (isNewTrace && isNamed(name, tracestateHeader))) continue;
    list.push(name, headers[index + 1] as string);
  }
  list.push(traceparentHeader, formatTraceparent(context));
  return list;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** A method that anybody may make up is no name of a span, of which there must be few. */
export function shownMethod(method: string): string {
  return methods.has(method) ? method : 'HTTP';
}

/** Of a path with query, without the latter, which may hold secrets; cut where it is long. */
export function shownPath(path: string): string {
  return path.split('?', 1)[0]?.slice(0, 1_024) ?? '';
}

function isNamed(name: string | undefined, lower: string): boolean {
  return name?.length === lower.length && name.toLowerCase() === lower;
}
