// The tunnel credentials file: reading (keys in any letter case, unknown keys ignored) and writing (0600, never over an
// existing file). Ours also carries the edge's addresses and CA pin. Source: docs/protocol/commands-and-api.md §4 point
// 4, §7.1.

import * as z from 'zod';
import { foreignCode, isPosternError, PosternError } from '../errors/error.ts';
import { parseTunnelId, type TunnelId } from '../schema/api/id.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { createPrivateFile, replacePrivateFile } from './private-file.ts';
import { readSecretFile } from './secret-file.ts';
import { caPinSchema, edgeAddressesSchema, portSchema, type TunnelToken } from './tunnel-token.ts';

/** What a credentials file holds; the tunnel id is missing in old files. */
export interface TunnelCredentials extends Omit<TunnelToken, 'tunnelId'> {
  readonly tunnelId?: TunnelId;
}

const credentialsSchema = z.object({
  accounttag: z.string().min(1).max(256),
  tunnelsecret: z.string().min(1),
  tunnelid: z.string().optional(),
  endpoint: z.string().optional(),
  posternedge: edgeAddressesSchema.optional(),
  posterncapin: caPinSchema.optional(),
  posternsharedport: portSchema.optional(),
});

/** Reads credentials JSON (a file's text, or --credentials-contents). `source` names it in messages. Throws `credentials.invalid`. */
export function parseCredentials(text: string, source: string): TunnelCredentials {
  const invalid = (why: string): PosternError => new PosternError('credentials.invalid', `${source} ${why}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message would quote the text around the error: possibly the secret.
    throw invalid('is not valid JSON; a tunnel credentials file is made by `postern tunnel create`');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalid('does not hold a JSON object');
  const lowered = Object.fromEntries(Object.entries(json).map(([key, value]) => [key.toLowerCase(), value]));
  const parsed = credentialsSchema.safeParse(lowered);
  if (!parsed.success) throw invalid(`lacks a usable ${keyName(String(parsed.error.issues[0]?.path[0] ?? ''))}`);
  const { data } = parsed;
  const secret = decodeBase64(data.tunnelsecret);
  if (secret === undefined || secret.byteLength === 0) throw invalid('has a TunnelSecret that is not base64');
  const tunnelId = data.tunnelid ? parseTunnelId(data.tunnelid) : undefined;
  if (data.tunnelid && tunnelId === undefined) throw invalid('has a TunnelID that is not a UUID');
  return {
    accountTag: data.accounttag,
    secret,
    ...(tunnelId === undefined ? {} : { tunnelId }),
    ...(data.endpoint ? { endpoint: data.endpoint } : {}),
    ...(data.posternedge?.length ? { edge: data.posternedge } : {}),
    ...(data.posterncapin === undefined ? {} : { caPin: data.posterncapin }),
    ...(data.posternsharedport === undefined ? {} : { sharedPort: data.posternsharedport }),
  };
}

/** The JSON text of a credentials file. */
export function encodeCredentials(credentials: TunnelToken): string {
  const { accountTag, tunnelId, secret, endpoint, edge, caPin, sharedPort } = credentials;
  return JSON.stringify({
    AccountTag: accountTag,
    TunnelSecret: encodeBase64(secret),
    TunnelID: tunnelId,
    Endpoint: endpoint ?? '',
    // Members that are undefined are left out of the text.
    PosternEdge: edge?.length === 0 ? undefined : edge,
    PosternCaPin: caPin,
    PosternSharedPort: sharedPort,
  });
}

/** Reads a credentials file. Throws `credentials.not-found` or `credentials.invalid`. */
export function readCredentialsFile(file: string): TunnelCredentials {
  if (file.endsWith('.pem')) {
    throw new PosternError(
      'credentials.invalid',
      `The tunnel credentials file should be .json but you gave a .pem (${file}). The tunnel credentials file was originally created by \`postern tunnel create\`. You may have accidentally used the filepath to cert.pem, which is the certificate of an account`,
    );
  }
  let text: string | undefined;
  try {
    text = readSecretFile(file, 'The tunnel credentials file');
  } catch (error) {
    if (isPosternError(error)) throw error;
    if (foreignCode(error) !== 'EISDIR' && foreignCode(error) !== 'ENOTDIR') {
      throw new PosternError('credentials.not-found', `Cannot read the tunnel credentials file '${file}'`, {
        cause: error,
      });
    }
  }
  if (text === undefined) {
    throw new PosternError('credentials.not-found', `Tunnel credentials file '${file}' doesn't exist or is not a file`);
  }
  return parseCredentials(text, `The tunnel credentials file '${file}'`);
}

/** Writes a new credentials file, mode 0600. Throws `credentials.invalid` when the name is taken. */
export function writeCredentialsFile(file: string, credentials: TunnelToken): void {
  if (!createPrivateFile(file, encodeCredentials(credentials))) {
    throw new PosternError('credentials.invalid', `${file} already exists`);
  }
}

/**
 * Replaces a credentials file of this tunnel, atomically; false where none is, or one of another tunnel. Throws
 * `credentials.invalid` for a file that is something else, which stays as it is.
 */
export function renewCredentialsFile(file: string, credentials: TunnelToken): boolean {
  try {
    const { accountTag, tunnelId } = readCredentialsFile(file);
    if (tunnelId !== credentials.tunnelId || accountTag !== credentials.accountTag) return false;
  } catch (error) {
    if (isPosternError(error, 'credentials.not-found')) return false;
    throw error;
  }
  replacePrivateFile(file, encodeCredentials(credentials));
  return true;
}

function keyName(lowered: string): string {
  const names = ['AccountTag', 'TunnelSecret', 'TunnelID', 'Endpoint', 'PosternEdge', 'PosternCaPin'];
  return names.find(name => name.toLowerCase() === lowered) ?? 'content';
}
