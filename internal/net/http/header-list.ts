// Header fields as the data path carries them: one flat list, as node:http's rawHeaders.

/** [name, value, name, value, …] in wire order; names may repeat. No pseudo headers. */
export type HeaderList = readonly string[];

/** The first value of a header; `name` in lower case. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const given = headers[index];
    // The length first: it spares the copy in lower case for almost every name.
    if (given?.length === name.length && given.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

/** Size of a header list as a peer's SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 §6.5.2). */
export function headerListBytes(raw: readonly string[]): number {
  let bytes = raw.length * 16;
  for (const text of raw) bytes += text.length;
  return bytes;
}
