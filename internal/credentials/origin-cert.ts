// cert.pem: the API credential of a user, JSON in a PEM block ARGO TUNNEL TOKEN. Ours also names the API and its CA, so
// that the file alone reaches the control plane it belongs to. Source: docs/protocol/commands-and-api.md §7.3.

import * as z from 'zod';
import { PosternError } from '../errors/error.ts';

export interface OriginCert {
  readonly zoneId: string;
  /** Empty in certificates of before accounts; most calls need it (see `requireAccount`). */
  readonly accountId: string;
  /** Bearer token of the API. Never logged. */
  readonly apiToken: string;
  /** Lower case; `fed` selects another API base. */
  readonly endpoint?: string;
  /** Base URL of the control plane that issued it (with /client/v4); a key of ours. */
  readonly apiUrl?: string;
}

const blockName = 'ARGO TUNNEL TOKEN';
const certSchema = z.object({
  zoneID: z.string().default(''),
  accountID: z.string().default(''),
  apiToken: z.string().default(''),
  endpoint: z.string().optional(),
  posternApiUrl: z.string().max(2048).optional(),
});

/** Reads the text of a cert.pem. Throws `credentials.invalid` with the messages operators know. */
export function parseOriginCert(text: string): OriginCert {
  const invalid = (message: string): PosternError => new PosternError('credentials.invalid', message);
  if (text.trim() === '') throw invalid('cannot decode empty certificate');
  let found: z.infer<typeof certSchema> | undefined;
  for (const block of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]*?)-----END \1-----/g)) {
    const [, type, body = ''] = block;
    if (type === 'PRIVATE KEY' || type === 'CERTIFICATE') continue;
    if (type !== blockName) throw invalid(`unknown block ${type} in the certificate`);
    if (found !== undefined) throw invalid('found multiple tokens in the certificate');
    found = parseBlock(body);
  }
  if (found === undefined || found.zoneID === '' || found.apiToken === '') {
    throw invalid('missing token in the certificate');
  }
  return {
    zoneId: found.zoneID,
    accountId: found.accountID,
    apiToken: found.apiToken,
    ...(found.endpoint ? { endpoint: found.endpoint.toLowerCase() } : {}),
    ...(found.posternApiUrl === undefined ? {} : { apiUrl: found.posternApiUrl }),
  };
}

/** The text of a cert.pem; lines of 64 characters as PEM wants. */
export function encodeOriginCert(cert: OriginCert): string {
  const json = JSON.stringify({
    zoneID: cert.zoneId,
    accountID: cert.accountId,
    apiToken: cert.apiToken,
    // Members that are undefined are left out of the text.
    endpoint: cert.endpoint,
    posternApiUrl: cert.apiUrl,
  });
  const lines =
    Buffer.from(json)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${blockName}-----\n${lines.join('\n')}\n-----END ${blockName}-----\n`;
}

/** Throws `credentials.invalid` when the certificate names no account; `path` is where it was read. */
export function requireAccount(cert: OriginCert, path: string): void {
  if (cert.accountId !== '') return;
  throw new PosternError(
    'credentials.invalid',
    `Origin certificate needs to be refreshed before creating new tunnels.\n${path} names no account: name another certificate with --origincert.`,
  );
}

function parseBlock(body: string): z.infer<typeof certSchema> {
  try {
    return certSchema.parse(JSON.parse(Buffer.from(body, 'base64').toString('utf8')));
  } catch {
    // Neither the parser's nor the schema's message is passed on: both can quote the API token.
    throw new PosternError('credentials.invalid', 'missing token in the certificate');
  }
}
