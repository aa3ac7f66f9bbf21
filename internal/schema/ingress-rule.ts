// One ingress rule and a whole ingress configuration after validation. Source: spec ingress-and-origin §3, §5, §11.

import type { OriginRequest } from './origin-request.ts';
import type { Service } from './service.ts';

export interface IngressRule {
  /** Position in the configuration, from 0; negative for internal rules. */
  readonly index: number;
  /** '' = any host; else exact or `*.suffix`. */
  readonly hostname: string;
  /** RE2 expression text; '' = any path. */
  readonly path: string;
  readonly service: Service;
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
}
