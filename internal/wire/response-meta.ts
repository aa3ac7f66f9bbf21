// The `cf-cloudflared-response-meta` header: who made a response. Source: docs/protocol/edge-protocol.md §10.6.

import { PosternError } from '../errors/error.ts';

/** `origin`: the origin or a local service of the connector. `connector`: it failed itself. */
export type ResponseMeta = 'origin' | 'connector' | 'rate-limited';

/** The exact JSON texts on the wire. */
export const responseMetaValues: Readonly<Record<ResponseMeta, string>> = {
  origin: '{"src":"origin"}',
  connector: '{"src":"cloudflared"}',
  'rate-limited': '{"src":"cloudflared","flow_rate_limited":true}',
};

/** Accepts any spelling of the JSON. Throws 'protocol.malformed' for anything else. */
export function parseResponseMeta(value: string): ResponseMeta {
  if (value === responseMetaValues.origin) return 'origin';
  const meta = parseObject(value);
  if (meta.src === 'origin') return 'origin';
  if (meta.src === 'cloudflared') return meta.flow_rate_limited === true ? 'rate-limited' : 'connector';
  throw malformed(value);
}

function parseObject(value: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    throw malformed(value, error);
  }
  if (typeof parsed !== 'object' || parsed === null) throw malformed(value);
  return parsed as Record<string, unknown>;
}

function malformed(value: string, cause?: unknown): PosternError {
  const shown = value.length > 64 ? `${value.slice(0, 64)}…` : value;
  return new PosternError('protocol.malformed', `Response meta should be {"src":"origin"} or alike, not '${shown}'`, {
    cause,
  });
}
