// UUIDs travel as 16 raw bytes and are shown as lower-case text. Source: docs/protocol/edge-protocol.md §8.1, §15 trap 9.

import { PosternError } from '../../errors/error.ts';

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** `11111111-2222-3333-4444-555555555555` → 16 bytes. Throws 'protocol.malformed' for any other form. */
export function encodeUuid(text: string): Buffer {
  if (!uuidText.test(text))
    throw new PosternError('protocol.malformed', `A UUID should look like 8-4-4-4-12 hex digits, not '${text}'`);
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

/** 16 bytes → text. Throws 'protocol.malformed' for any other length. */
export function decodeUuid(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new PosternError('protocol.malformed', `A UUID has 16 bytes, not ${bytes.length}`);
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
