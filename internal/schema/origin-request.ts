// The originRequest settings of a rule with every default applied. Source: docs/protocol/ingress-and-origin.md §4.

export interface IpRule {
  /** CIDR text, valid. */
  readonly prefix: string;
  /** Empty = every port. */
  readonly ports: readonly number[];
  readonly allow: boolean;
}

export interface AccessPolicy {
  readonly required: boolean;
  readonly teamName: string;
  readonly audTag: readonly string[];
  readonly environment: string;
}

/** Durations in milliseconds. */
export interface OriginRequest {
  readonly connectTimeoutMs: number;
  readonly tlsTimeoutMs: number;
  readonly tcpKeepAliveMs: number;
  readonly noHappyEyeballs: boolean;
  readonly keepAliveConnections: number;
  readonly keepAliveTimeoutMs: number;
  readonly httpHostHeader: string;
  readonly originServerName: string;
  readonly matchSNItoHost: boolean;
  readonly caPool: string;
  readonly noTLSVerify: boolean;
  readonly disableChunkedEncoding: boolean;
  readonly bastionMode: boolean;
  readonly proxyAddress: string;
  readonly proxyPort: number;
  readonly proxyType: string;
  readonly ipRules: readonly IpRule[];
  readonly http2Origin: boolean;
  readonly access: AccessPolicy | undefined;
}

export const originRequestDefaults: OriginRequest = {
  connectTimeoutMs: 30_000,
  tlsTimeoutMs: 10_000,
  tcpKeepAliveMs: 30_000,
  noHappyEyeballs: false,
  keepAliveConnections: 100,
  keepAliveTimeoutMs: 90_000,
  httpHostHeader: '',
  originServerName: '',
  matchSNItoHost: false,
  caPool: '',
  noTLSVerify: false,
  disableChunkedEncoding: false,
  bastionMode: false,
  proxyAddress: '127.0.0.1',
  proxyPort: 0,
  proxyType: '',
  ipRules: [],
  http2Origin: false,
  access: undefined,
};
