// One ingress rule and a whole ingress configuration after validation. Source: docs/protocol/ingress-and-origin.md §3,
// §5, §11.

import type { OriginRequest } from './origin-request.ts';
import type { Service } from './service.ts';

export interface IngressRule {
  /** Position in the configuration, from 0; negative for internal rules. */
  readonly index: number;
  /** As configured: '' or `*` = any host; else exact or `*.suffix`. */
  readonly hostname: string;
  /** RE2 expression text; '' = any path. */
  readonly path: string;
  readonly service: Service;
  /**
   * Resolved: rule, else top level, else default. Two fields are the rule's own only: `access`, because cloudflared
   * never enforces the top-level one, and `ipRules` of a socks-proxy (docs/protocol/ingress-and-origin.md §10.4, §12).
   */
  readonly originRequest: OriginRequest;
}

export interface WarpRouting {
  readonly connectTimeoutMs: number;
  readonly tcpKeepAliveMs: number;
  /** 0 = unlimited. */
  readonly maxActiveFlows: number;
}

/** A complete, valid configuration of what a connector serves. */
export interface IngressConfig {
  readonly rules: readonly IngressRule[];
  readonly warpRouting: WarpRouting;
  /**
   * The top-level `originRequest` with defaults applied, for display (docs/protocol/commands-and-api.md §13,
   * `/config`).
   */
  readonly originRequest?: OriginRequest;
}

/** Source: docs/protocol/ingress-and-origin.md §11. */
export const warpRoutingDefaults: WarpRouting = { connectTimeoutMs: 5000, tcpKeepAliveMs: 30_000, maxActiveFlows: 0 };
