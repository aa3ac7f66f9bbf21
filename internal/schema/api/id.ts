// Identifiers that travel in tokens, credentials files and the control-plane API: UUIDs and 32-hex tags, branded so that
// only their parsers make them. Source: docs/protocol/commands-and-api.md §7, §9.2.

import { randomBytes, randomUUID } from 'node:crypto';

/** UUID of a tunnel, lower case with hyphens. */
export type TunnelId = string & { readonly __brand: 'TunnelId' };

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `text` is a UUID in its usual form, any letter case. */
export function isUuid(text: string): boolean {
  return text.length === 36 && uuidPattern.test(text.toLowerCase());
}

/** The tunnel id in `text` (any letter case), or undefined when it is not a UUID. */
export function parseTunnelId(text: string): TunnelId | undefined {
  const lower = text.toLowerCase();
  return lower.length === 36 && uuidPattern.test(lower) ? (lower as TunnelId) : undefined;
}

/** A fresh random tunnel id (UUID v4). */
export function createTunnelId(): TunnelId {
  return randomUUID() as TunnelId;
}

/** A fresh account tag or zone id: 32 lower-case hex digits. */
export function createTag(): string {
  return randomBytes(16).toString('hex');
}
