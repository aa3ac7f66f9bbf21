// The structured keys of a document → IngressConfig, with every check across fields. All problems are collected, none
// hides another. Source: docs/protocol/ingress-and-origin.md §3–6; the texts are those of §6.

import type * as z from 'zod';
import type { DocumentPath } from './config-error.ts';
import type { DocumentReader } from './document-reader.ts';
import { splitHostPort } from './go-url.ts';
import { documentTypes, type OriginRequestDocument } from './ingress-document.ts';
import { type IngressConfig, type IngressRule, type WarpRouting, warpRoutingDefaults } from './ingress-rule.ts';
import type { IssueCollector } from './issue-collector.ts';
import { type OriginRequest, originRequestDefaults } from './origin-request.ts';
import { parseService } from './parse-service.ts';
import { pathEngine, plainPath } from './path-expression.ts';
import { ipRuleFault, resolveOriginRequest } from './resolve-origin-request.ts';
import type { Service } from './service.ts';

/** Names of the structured keys in this document (the `--json` form of `ingress validate` uses Go's names). */
export interface StructuredKeys {
  readonly ingress: string;
  readonly originRequest: string;
  readonly warpRouting: string;
}

export const standardKeys: StructuredKeys = {
  ingress: 'ingress',
  originRequest: 'originRequest',
  warpRouting: 'warp-routing',
};

/** What the structured keys say. `rules` is undefined when there is no list, or an empty one. */
export interface ParsedIngress {
  readonly rules: readonly IngressRule[] | undefined;
  readonly originRequest: OriginRequest;
  readonly warpRouting: WarpRouting;
}

/** A value of a document, and where it stands. */
export interface PlacedValue {
  readonly value: unknown;
  readonly path: DocumentPath;
}

/** The structured keys as written; `value` is undefined for what is not there. */
export interface StructuredValues {
  readonly ingress: PlacedValue;
  readonly originRequest: PlacedValue;
  readonly warpRouting: PlacedValue;
}

/** What the root of a document says. */
export function readStructured(reader: DocumentReader, keys: StructuredKeys): StructuredValues {
  const types = documentTypes[reader.dialect];
  const placed = (key: string, type: z.ZodType): PlacedValue => ({ value: reader.read(key, type), path: [key] });
  return {
    originRequest: placed(keys.originRequest, types.originRequest),
    warpRouting: placed(keys.warpRouting, types.warpRouting),
    ingress: placed(keys.ingress, types.ingress),
  };
}

/**
 * Parses what is there. The result counts only if the collector holds no issue afterwards.
 * @param base what `originRequest` leaves open
 */
export function parseIngress(
  values: StructuredValues,
  issues: IssueCollector,
  base: OriginRequest = originRequestDefaults,
): ParsedIngress {
  const types = documentTypes[issues.dialect];
  const { value: topValue, path: topPath } = values.originRequest;
  const top = issues.fields(types.originRequest, topValue, topPath).fields;
  warnOddities(top, topPath, issues);
  const originRequest = resolveOriginRequest(top, base);
  if (top.access?.required === true)
    issues.warn(
      [...topPath, 'access'],
      'a top-level originRequest.access is shown but not enforced',
      'Write access into the originRequest of each rule that needs it.',
    );

  const { value: warpValue, path: warpPath } = values.warpRouting;
  const warp = issues.fields(types.warpRouting, warpValue, warpPath).fields;
  const warpRouting: WarpRouting = {
    connectTimeoutMs: warp.connectTimeout ?? warpRoutingDefaults.connectTimeoutMs,
    tcpKeepAliveMs: warp.tcpKeepAlive ?? warpRoutingDefaults.tcpKeepAliveMs,
    maxActiveFlows: warp.maxActiveFlows ?? warpRoutingDefaults.maxActiveFlows,
  };

  const { value: list, path: listPath } = values.ingress;
  if (list !== undefined && !Array.isArray(list)) issues.parse(types.ingress, list, listPath);
  const count = Array.isArray(list) ? list.length : 0;
  const rules = Array.from({ length: count }, (_, index) => {
    const value: unknown = (list as readonly unknown[])[index];
    return parseRule({ value, path: [...listPath, index], index, count, originRequest, issues });
  });
  return { rules: count === 0 ? undefined : rules, originRequest, warpRouting };
}

/**
 * A configuration of these rules, or of one that answers 503 when there are none (docs/protocol/ingress-and-origin.md
 * §1, §5).
 */
export function completeConfig(parsed: ParsedIngress): IngressConfig {
  const { originRequest, warpRouting } = parsed;
  return { rules: parsed.rules ?? [unavailableRule(originRequest)], warpRouting, originRequest };
}

/** The rule of a connector without rules. */
export function unavailableRule(originRequest: OriginRequest): IngressRule {
  const service: Service = { kind: 'status', text: 'http_status:503', status: 503 };
  return { index: 0, hostname: '', path: '', service, originRequest };
}

interface RuleSource {
  readonly value: unknown;
  readonly path: DocumentPath;
  readonly index: number;
  readonly count: number;
  readonly originRequest: OriginRequest;
  readonly issues: IssueCollector;
}

function parseRule(source: RuleSource): IngressRule {
  const { value, path, index, issues, originRequest } = source;
  const types = documentTypes[issues.dialect];
  const { originRequest: originValue, ...rest } = isRecord(value) ? value : { originRequest: undefined };
  const { fields, failed } = issues.fields(types.rule, isRecord(value) ? rest : value, path);
  const originPath = [...path, 'originRequest'];
  const own = issues.fields(types.originRequest, originValue, originPath).fields;
  warnOddities(own, originPath, issues);

  const hostname = fields.hostname ?? '';
  const pathExpression = fields.path ?? '';
  const merged = resolveOriginRequest(own, originRequest);
  const parsed = parseService(fields.service ?? '', merged.bastionMode);
  if (fields.service === undefined && !failed.has('service') && 'fault' in parsed)
    issues.error(path, `the rule has no service: "" ${parsed.fault.text.trim()}`, parsed.fault.remedy);
  else if ('fault' in parsed && !failed.has('service'))
    issues.error([...path, 'service'], parsed.fault.text, parsed.fault.remedy);
  const service: Service = 'service' in parsed ? parsed.service : unavailableRule(originRequest).service;
  if (service.kind === 'socks-proxy') checkIpRules(own, originPath, issues);
  checkAccess(own, originPath, issues);
  if (!failed.has('hostname')) checkHostname(hostname, [...path, 'hostname'], issues);
  if (!failed.has('hostname') && !failed.has('path')) checkCatchAll(source, hostname, pathExpression);
  checkPath(pathExpression, index, [...path, 'path'], issues);

  const ownAccess = own.access === undefined ? undefined : merged.access;
  const ipRules = service.kind === 'socks-proxy' && own.ipRules === undefined ? [] : merged.ipRules;
  return {
    index,
    hostname,
    path: pathExpression,
    service,
    originRequest: { ...merged, access: ownAccess, ipRules },
  };
}

function checkIpRules(own: OriginRequestDocument, path: DocumentPath, issues: IssueCollector): void {
  for (const [at, rule] of (own.ipRules ?? []).entries()) {
    const fault = ipRuleFault(rule);
    if (fault === undefined) continue;
    const text = `unable to create ip rule for socks-proxy: ${fault.text}`;
    issues.error([...path, 'ipRules', at, ...fault.field], text, fault.remedy);
  }
  if (own.ipRules === undefined || own.ipRules.length === 0)
    issues.warn(path, 'a socks-proxy without ipRules denies every destination', 'List what it may reach in ipRules.');
}

function checkAccess(own: OriginRequestDocument, path: DocumentPath, issues: IssueCollector): void {
  const { access } = own;
  if (access?.required !== true || (access.audTag ?? []).length === 0 || (access.teamName ?? '') !== '') return;
  const text = 'access.TeamName cannot be blank when access.audTags are present';
  issues.error([...path, 'access'], text, 'Add teamName, the first label of your team domain.');
}

function checkHostname(hostname: string, path: DocumentPath, issues: IssueCollector): void {
  const withPort = splitHostPort(hostname);
  const withoutScheme = /^[a-z]+:\/\/([^/:]*)/i.exec(hostname)?.[1];
  if (withPort !== undefined)
    issues.error(path, 'Hostname cannot contain a port', `Write ${JSON.stringify(withoutScheme ?? withPort.host)}.`);
  if (hostname.lastIndexOf('*') > 0)
    issues.error(
      path,
      'Hostname patterns can have at most one wildcard character ("*") and it can only be used for subdomains, e.g. "*.example.com"',
      'Put the wildcard first, or write one rule for each name.',
    );
  // cloudflared takes them in silence, and no request ever matches.
  const stray = withPort === undefined ? /[\s/,;:@?#]/.exec(hostname)?.[0] : undefined;
  if (stray !== undefined)
    issues.warn(
      path,
      `hostname ${JSON.stringify(hostname)} matches no request, because of ${JSON.stringify(stray)}`,
      'Write one name, for example app.example.com.',
    );
}

function checkCatchAll(source: RuleSource, hostname: string, pathExpression: string): void {
  const { index, count, path, issues } = source;
  const matchesAll = (hostname === '' || hostname === '*') && pathExpression === '';
  if (index === count - 1 && !matchesAll)
    issues.error(
      path,
      'The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)',
      'Add a last rule with only a service, for example "service: http_status:404".',
    );
  if (index < count - 1 && matchesAll)
    issues.error(
      path,
      `Rule #${index + 1} is matching the hostname '${hostname}', but this will match every hostname, meaning the rules which follow it will never be triggered.`,
      'Move it to the end, or give it a hostname or path.',
    );
}

function checkPath(pathExpression: string, index: number, path: DocumentPath, issues: IssueCollector): void {
  if (pathExpression === '' || plainPath(pathExpression) !== undefined) return;
  const { RE2JS, RE2JSException } = pathEngine();
  try {
    RE2JS.compile(pathExpression);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    issues.error(
      path,
      `Rule #${index + 1} has an invalid regex: ${error.message}`,
      'Paths are RE2 expressions, without look-around and back references; a literal dot is "\\.".',
    );
  }
}

/** Values that are accepted and do not do what their writer meant. */
function warnOddities(own: OriginRequestDocument, path: DocumentPath, issues: IssueCollector): void {
  if (own.proxyType !== undefined && own.proxyType !== '' && own.proxyType !== 'socks')
    issues.warn(
      [...path, 'proxyType'],
      `proxyType ${JSON.stringify(own.proxyType)} has no effect`,
      'Only "socks" has.',
    );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
