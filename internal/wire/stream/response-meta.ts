// The `cf-cloudflared-response-meta` header: who made a response. Source: docs/protocol/edge-protocol.md §10.6.

import { PosternError } from '../../errors/error.ts';

/** `origin`: the origin or a local service of the connector. `connector`: it failed itself. `dial-refused` is ours. */
export type ResponseMeta = 'origin' | 'connector' | 'rate-limited' | 'dial-refused';

/** The exact JSON texts on the wire. */
export const responseMetaValues: Readonly<Record<ResponseMeta, string>> = {
  origin: '{"src":"origin"}',
  connector: '{"src":"cloudflared"}',
  'rate-limited': '{"src":"cloudflared","flow_rate_limited":true}',
  'dial-refused': '{"src":"cloudflared","postern_dial_refused":true}',
};

/** Accepts any spelling of the JSON. Throws 'protocol.malformed' for anything else. */
export function parseResponseMeta(value: string): ResponseMeta {
  if (value === responseMetaValues.origin) return 'origin';
  const meta = parseObject(value);
  if (meta.src === 'origin') return 'origin';
  if (meta.src !== 'cloudflared') throw malformed(value);
  if (meta.flow_rate_limited === true) return 'rate-limited';
  return meta.postern_dial_refused === true ? 'dial-refused' : 'connector';
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
