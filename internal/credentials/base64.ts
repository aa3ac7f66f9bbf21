// Strict reading of standard padded base64, as tokens and credentials files use it. Node's own decoder skips bytes it
// does not know, so a damaged secret would pass silently. Source: docs/protocol/commands-and-api.md §7.1, §7.2, §19 trap 5.

/** The bytes of padded standard base64 `text`, or undefined when it is not exactly that. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
