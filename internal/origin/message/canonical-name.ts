// Header names as HTTP/1.1 origins expect them: HTTP/2 has them in lower case, and old origins compare by case although
// RFC 9110 §5.1 forbids it. Written alike whichever way a request came, as Go's net/http does, but for the names of
// WebSocket (RFC 6455 §11.3), which small servers look for as they are registered.

/** Names are remembered up to so many: far more than clients use, little enough to forget about. */
const maxRemembered = 1_024;
const maxRememberedLength = 64;
const remembered = new Map<string, string>();

/** `content-type` → `Content-Type`. The name must be a token. */
export function canonicalName(name: string): string {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const canonical = name
    .toLowerCase()
    .replace(/(?:^|-)[a-z]/g, upper)
    .replace(/^Sec-Websocket-/, 'Sec-WebSocket-');
  if (remembered.size < maxRemembered && name.length <= maxRememberedLength) remembered.set(name, canonical);
  return canonical;
}

function upper(text: string): string {
  return text.toUpperCase();
}
