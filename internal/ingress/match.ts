// Which ingress rule serves a request. Source: docs/protocol/ingress-and-origin.md §7.
// One difference from cloudflared, on purpose: hosts are compared without regard to case, as names are.

import { domainToASCII } from 'node:url';
import type { IngressRule } from '../schema/ingress-rule.ts';
import { compilePath, decodePath, type PathTest } from './path-matcher.ts';

export interface Matcher {
  /**
   * The first rule that matches; the last one when none does. `host` may carry a port; `path` is the request target as it
   * came (escaped, with or without query).
   */
  match(host: string, path: string): IngressRule;
}

interface Candidate {
  readonly rule: IngressRule;
  /** Undefined: every path. */
  readonly path: PathTest | undefined;
}

/**
 * Compiles rules, of which there must be at least one. For every name and every wildcard suffix the rules that can match
 * are listed beforehand, so that a request costs one map look-up a label of its host, however many rules there are.
 */
export function createMatcher(rules: readonly IngressRule[]): Matcher {
  const last = rules.at(-1);
  if (last === undefined) throw new RangeError('A matcher needs at least one rule');

  /** Indexes of the rules of each pattern, ascending. */
  const byPattern = new Map<string, number[]>();
  for (const [at, rule] of rules.entries()) {
    for (const pattern of hostPatterns(rule.hostname)) {
      const indexes = byPattern.get(pattern);
      if (indexes === undefined) byPattern.set(pattern, [at]);
      else indexes.push(at);
    }
  }
  const compiled = rules.map(rule => ({ rule, path: rule.path === '' ? undefined : compilePath(rule.path) }));
  const candidatesOf = (patterns: readonly string[]): readonly Candidate[] => {
    const indexes = patterns.flatMap(pattern => byPattern.get(pattern) ?? []).sort((a, b) => a - b);
    const found = indexes.flatMap(at => compiled[at] ?? []);
    // What follows a rule without path is out of reach.
    const end = found.findIndex(candidate => candidate.path === undefined);
    return end === -1 ? found : found.slice(0, end + 1);
  };

  const exact = new Map<string, readonly Candidate[]>();
  const suffixes = new Map<string, readonly Candidate[]>();
  for (const pattern of byPattern.keys()) {
    // Hosts under the longest known suffix are under the same set of shorter ones.
    if (pattern.startsWith('*.'))
      suffixes.set(pattern.slice(1), candidatesOf(['', pattern, ...wildcardsAbove(pattern)]));
    else if (pattern !== '') exact.set(pattern, candidatesOf(['', pattern, ...wildcardsAbove(pattern)]));
  }
  const any = candidatesOf(['']);

  const candidates = (host: string): readonly Candidate[] => {
    const found = exact.get(host);
    if (found !== undefined) return found;
    if (suffixes.size > 0) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const under = suffixes.get(host.slice(dot));
        if (under !== undefined) return under;
      }
    }
    return any;
  };

  return {
    match(host, path) {
      let decoded: string | undefined;
      for (const candidate of candidates(normalizeHost(host))) {
        if (candidate.path === undefined) return candidate.rule;
        decoded ??= decodePath(path);
        if (candidate.path(decoded)) return candidate.rule;
      }
      return last;
    },
  };
}

/** Lower-case patterns that a rule's host name stands for: '' = any; a Unicode name also in the form browsers send. */
function hostPatterns(hostname: string): readonly string[] {
  if (hostname === '' || hostname === '*') return [''];
  const lower = hostname.toLowerCase();
  if (/^[\0-\x7f]*$/.test(lower)) return [lower];
  const wildcard = lower.startsWith('*.') ? '*.' : '';
  const ascii = domainToASCII(lower.slice(wildcard.length));
  return ascii === '' ? [lower] : [lower, wildcard + ascii];
}

/** The wildcard patterns that a name is under, and that a wildcard is narrower than. */
function wildcardsAbove(pattern: string): readonly string[] {
  const found: string[] = [];
  for (let dot = pattern.indexOf('.'); dot !== -1; dot = pattern.indexOf('.', dot + 1)) {
    const above = `*${pattern.slice(dot)}`;
    if (above !== pattern) found.push(above);
  }
  return found;
}

/** Without port and brackets, in lower case. */
function normalizeHost(host: string): string {
  let name = host;
  if (host.startsWith('[')) {
    const close = host.indexOf(']');
    if (close !== -1) name = host.slice(1, close);
  } else {
    const colon = host.indexOf(':');
    // More than one colon: an IPv6 literal without brackets, which has no port.
    if (colon !== -1 && host.indexOf(':', colon + 1) === -1) name = host.slice(0, colon);
  }
  return name.toLowerCase();
}
