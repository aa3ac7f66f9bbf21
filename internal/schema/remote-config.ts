// The configuration that an edge pushes (and `ingress validate --json` takes) → IngressConfig. Source:
// docs/protocol/ingress-and-origin.md §5, §14.

import { ConfigError, type ConfigIssue, formatPath } from './config-error.ts';
import type { DocumentReader } from './document-reader.ts';
import type { IngressConfig } from './ingress-rule.ts';
import { IssueCollector } from './issue-collector.ts';
import { isDeeperThan, maxJsonDepth } from './json-depth.ts';
import { createJsonReader } from './json-reader.ts';
import { completeConfig, parseIngress, readStructured, type StructuredKeys } from './parse-ingress.ts';

/**
 * Parses and validates a pushed configuration, given as JSON text or as a parsed value. A missing or empty `ingress` is a
 * connector that answers 503. Throws ConfigError ('config.invalid') with every problem; unknown keys are ignored.
 */
export function parseRemoteConfig(json: unknown): IngressConfig {
  const reader = openJson(typeof json === 'string' ? json : JSON.stringify(json));
  const issues = new IssueCollector(reader);
  const parsed = parseIngress(readStructured(reader, keysOf(reader, 'warp-routing')), issues);
  issues.throwIfAny();
  return completeConfig(parsed);
}

/** Keys of a pushed configuration, as paths, that no connector of ours reads: `ingress[0].foo`. Throws as parseRemoteConfig. */
export function unknownRemoteKeys(json: string): readonly string[] {
  const reader = openJson(json);
  const keys = keysOf(reader, 'warp-routing');
  parseIngress(readStructured(reader, keys), new IssueCollector(reader));
  const known: readonly string[] = Object.values(keys);
  return [
    ...reader.rootKeys.filter(key => !known.includes(key)),
    ...reader.unknownKeys.map(({ path, key }) => formatPath([...path, key])),
  ];
}

/**
 * Parses the document of `ingress validate --json`, which names its keys like Go's fields (`OriginRequest`, `WarpRouting`).
 * Unlike a pushed configuration it must have rules.
 */
export function parseJsonConfigFlag(json: string): IngressConfig {
  const reader = openJson(json);
  const issues = new IssueCollector(reader);
  const parsed = parseIngress(readStructured(reader, keysOf(reader, 'WarpRouting')), issues);
  if (parsed.rules === undefined && issues.issues.length === 0) issues.error([], noRulesText, noRulesRemedy);
  issues.throwIfAny();
  return completeConfig(parsed);
}

/** Said of a document that must have rules and has none. */
export const noRulesText = "The config file doesn't contain any ingress rules";
export const noRulesRemedy = 'Add an "ingress:" list whose last rule has only a service.';

function openJson(text: string | undefined): DocumentReader {
  const fail = (reason: string, cause?: unknown): never => {
    const issue: ConfigIssue = { path: [], location: undefined, text: reason, remedy: 'Give one JSON object.' };
    throw new ConfigError([issue], { cause });
  };
  if (text === undefined) return fail('the configuration is not JSON');
  if (isDeeperThan(text, maxJsonDepth))
    return fail(`the configuration is nested more than ${maxJsonDepth} levels deep`);
  let reader: DocumentReader;
  try {
    reader = createJsonReader(text);
  } catch (error) {
    return fail(`the configuration is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (!reader.empty && !reader.rootIsMap) return fail('the configuration is not a JSON object');
  return reader;
}

/** The keys as this document spells them; the last one of several spellings wins, as in Go. */
function keysOf(reader: DocumentReader, warpRouting: string): StructuredKeys {
  const find = (name: string): string =>
    reader.rootKeys.findLast(key => key.toLowerCase() === name.toLowerCase()) ?? name;
  return { ingress: find('ingress'), originRequest: find('originRequest'), warpRouting: find(warpRouting) };
}
