// The headers of an origin's response on their way back: hop-by-hop ones end here. Source: spec ingress-and-origin §8.4;
// RFC 9110 §7.6.1. (The recorded connector passes them on and leaves it to the edge to drop them.)

export interface ResponseHeaders {
  readonly headers: string[];
  /** The value of Content-Length, where there is one. */
  readonly contentLength: string | undefined;
}

/** Takes raw header bytes [name, value, …] as the parser hands them out. */
export function forwardResponseHeaders(raw: readonly Buffer[]): ResponseHeaders {
  const headers: string[] = [];
  let contentLength: string | undefined;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] as Buffer).toString('latin1');
    const value = (raw[index + 1] as Buffer).toString('latin1');
    const lower = name.toLowerCase();
    if (hopByHop.has(lower)) continue;
    if (lower === 'content-length') contentLength = value;
    headers.push(name, value);
  }
  return { headers, contentLength };
}

/** Headers that concern one connection only. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
