// What Cloudflare publishes in TXT records: protocol percentages (`protocol-v2.argotunnel.com`) and feature percentages
// (`cfd-features.argotunnel.com`), and which side of them an account is on. Source: docs/protocol/edge-protocol.md
// §3.2, §3.3.

import { PosternError } from '../errors/error.ts';
import type { Dns } from './dns.ts';
import { rolloutThreshold } from './fnv.ts';

export const protocolRecordName = 'protocol-v2.argotunnel.com';
export const featuresRecordName = 'cfd-features.argotunnel.com';

export type RolloutProtocol = 'quic' | 'http2';

export interface RemoteFeatures {
  /** Use datagrams v3 for this account. */
  readonly datagramV3: boolean;
  readonly skipPrechecks: boolean;
}

/** First TXT record: the protocol of this account; quic when the record leaves it open. Rejects with 'discovery.failed'. */
export async function lookUpProtocol(dns: Dns, accountTag: string): Promise<RolloutProtocol> {
  const [text = ''] = await dns.txt(protocolRecordName);
  return parseProtocolRecord(text, accountTag);
}

/** First TXT record: the features of this account. Rejects with 'discovery.failed'. */
export async function lookUpFeatures(dns: Dns, accountTag: string): Promise<RemoteFeatures> {
  const [text = ''] = await dns.txt(featuresRecordName);
  return parseFeaturesRecord(text, accountTag);
}

/** `[{"protocol":"quic","percentage":100},…]`; throws 'discovery.failed' for anything else. */
export function parseProtocolRecord(text: string, accountTag: string): RolloutProtocol {
  const list = parseJson(text, protocolRecordName);
  if (!Array.isArray(list)) throw unexpected(protocolRecordName, text);
  const threshold = rolloutThreshold(accountTag);
  for (const protocol of ['quic', 'http2'] as const) {
    const entry = list.find(item => isRecord(item) && String(item.protocol).toLowerCase() === protocol) as unknown;
    if (isRecord(entry) && percentage(entry.percentage) > threshold) return protocol;
  }
  return 'quic';
}

/** `{"dv3_2":0…100,"skip_prechecks":bool}`, unknown keys ignored; throws 'discovery.failed' for anything but an object. */
export function parseFeaturesRecord(text: string, accountTag: string): RemoteFeatures {
  const record = parseJson(text, featuresRecordName);
  if (!isRecord(record)) throw unexpected(featuresRecordName, text);
  return {
    datagramV3: percentage(record.dv3_2) > rolloutThreshold(accountTag),
    skipPrechecks: record.skip_prechecks === true,
  };
}

function percentage(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PosternError('discovery.failed', `The TXT record ${name} is not JSON`, { cause: error });
  }
}

function unexpected(name: string, text: string): PosternError {
  return new PosternError('discovery.failed', `The TXT record ${name} has an unexpected form: ${text.slice(0, 100)}`);
}
