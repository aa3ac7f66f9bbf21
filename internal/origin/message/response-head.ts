// The head of an HTTP/1.1 response: status line, fields, and how the body is delimited. What RFC 9112 lets a proxy mend is
// mended: bare LF (§2.2), folded fields (§5.2), a space before the colon (§5.1), a length beside chunked (§6.3). Whatever
// else two readers could understand differently is refused. Source: RFC 9112 §4, §5, §6.3; RFC 9110 §5, §7.6.1.
// Hop-by-hop fields end here; the recorded connector passes them on and leaves it to the edge to drop them.

import { PosternError } from '../../errors/error.ts';

/** How the end of the body is found. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export interface ResponseHead {
  readonly status: number;
  /** Flat list without hop-by-hop fields; names as the origin wrote them. */
  readonly headers: string[];
  readonly framing: BodyFraming;
  /** Whether the connection may carry another request afterwards. */
  readonly reusable: boolean;
  /** The origin's hint `Keep-Alive: timeout=N` in milliseconds. */
  readonly keepAliveMs: number | undefined;
  /** Value of Upgrade, for a 101. */
  readonly upgrade: string | undefined;
}

/** A response that breaks HTTP; the connection it came on is of no further use. */
export function malformedResponse(reason: string): PosternError {
  return new PosternError('origin.failed', `The response of the origin is not valid HTTP/1.1: ${reason}`, {
    details: { hop: 'response' },
  });
}

/** A connection that the origin closed, perhaps in order, before the answer was whole. */
export function closedEarly(hasBegun: boolean): PosternError {
  const text = hasBegun ? 'inside its answer' : 'before it answered';
  return new PosternError('origin.failed', `The origin closed the connection ${text}`, {
    details: { hop: 'response' },
  });
}

/**
 * Parses a head given as latin1 text without its final empty line. `method` is that of the request.
 * Throws 'origin.failed'.
 */
export function parseResponseHead(given: string, method: string): ResponseHead {
  let text = given;
  if (!headGrammar.test(text)) {
    text = mended(given);
    if (!headGrammar.test(text)) throw malformedResponse(explain(text));
  }
  const status = (text.charCodeAt(9) - 48) * 100 + (text.charCodeAt(10) - 48) * 10 + (text.charCodeAt(11) - 48);
  const minor = text.charCodeAt(7) - 48;
  const fields = new FieldReader();
  let start = text.indexOf('\r\n');
  while (start !== -1) {
    start += 2;
    const next = text.indexOf('\r\n', start);
    fields.read(text, start, next === -1 ? text.length : next);
    start = next;
  }
  const framing = framingOf(status, method, minor, fields);
  return {
    status,
    // The coding decides where the body ends; a length that says otherwise must not go on (RFC 9112 §6.3).
    headers: fields.chunked && fields.contentLength !== undefined ? withoutLength(fields.headers) : fields.headers,
    framing,
    reusable: isReusable(status, method, minor, framing, fields),
    keepAliveMs: fields.keepAliveMs,
    upgrade: fields.upgrade,
  };
}

/** What old servers write, in the form that the grammar knows. */
function mended(text: string): string {
  return text
    .replace(/\r?\n/g, '\r\n')
    .replace(/\r\n([^\s:]+)[\t ]+:/g, '\r\n$1:')
    .replace(/[\t ]*\r\n[\t ]+/g, ' ');
}

/** Parses a trailer section (latin1, without its final empty line) into a flat list without fields that frame or route. */
export function parseTrailers(given: string): string[] {
  const text = trailerGrammar.test(given) ? given : mended(given);
  if (!trailerGrammar.test(text)) throw malformedResponse('bad trailer section');
  const list: string[] = [];
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (!forbiddenTrailers.has(name.toLowerCase())) list.push(name, trimOws(line, colon + 1, line.length));
  }
  return list;
}

/** Collects fields, and picks out those that speak about the message or the connection. */
class FieldReader {
  readonly headers: string[] = [];
  contentLength: number | undefined;
  chunked = false;
  close = false;
  keepAlive = false;
  keepAliveMs: number | undefined;
  upgrade: string | undefined;

  read(text: string, start: number, end: number): void {
    const colon = text.indexOf(':', start);
    const name = text.slice(start, colon);
    const value = trimOws(text, colon + 1, end);
    // The names that matter have four different lengths: most fields are passed on without being looked at.
    switch (colon - start) {
      case 7:
        if (name.toLowerCase() === 'upgrade') {
          this.upgrade = value;
          return;
        }
        break;
      case 10:
        if (this.#connectionField(name.toLowerCase(), value)) return;
        break;
      case 14:
        if (name.toLowerCase() === 'content-length' && this.#lengthField(value)) return;
        break;
      case 16:
        if (name.toLowerCase() === 'proxy-connection') return;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          this.#encodingField(value);
          return;
        }
        break;
    }
    this.headers.push(name, value);
  }

  #connectionField(name: string, value: string): boolean {
    if (name === 'connection') {
      if (value === 'keep-alive') {
        this.keepAlive = true;
        return true;
      }
      for (const option of value.toLowerCase().split(',')) {
        const word = option.trim();
        if (word === 'close') this.close = true;
        else if (word === 'keep-alive') this.keepAlive = true;
      }
      return true;
    }
    if (name !== 'keep-alive') return false;
    this.keepAliveMs = keepAliveHint(value);
    return true;
  }

  /** True for a repetition of the same value, which is not passed on twice. */
  #lengthField(value: string): boolean {
    if (!digits.test(value)) throw malformedResponse(`Content-Length ${JSON.stringify(value)} is not a number`);
    const bytes = Number(value);
    if (this.contentLength !== undefined) {
      if (this.contentLength !== bytes) throw malformedResponse('two different Content-Length fields');
      return true;
    }
    this.contentLength = bytes;
    return false;
  }

  #encodingField(value: string): void {
    if (this.chunked || value.toLowerCase() !== 'chunked')
      throw malformedResponse(`Transfer-Encoding ${JSON.stringify(value)} where only chunked is known`);
    this.chunked = true;
  }
}

/** An origin says the same in every response: the last reading is remembered. */
let lastHint: { readonly text: string; readonly ms: number | undefined } = { text: '', ms: undefined };

function keepAliveHint(text: string): number | undefined {
  if (text === lastHint.text) return lastHint.ms;
  const seconds = /(?:^|[,\s])timeout\s*=\s*(\d{1,6})/i.exec(text)?.[1];
  lastHint = { text, ms: seconds === undefined ? undefined : Number(seconds) * 1000 };
  return lastHint.ms;
}

const noBody: BodyFraming = { kind: 'none' };
const chunkedBody: BodyFraming = { kind: 'chunked' };
const bodyUntilClose: BodyFraming = { kind: 'until-close' };

function framingOf(status: number, method: string, minor: number, fields: FieldReader): BodyFraming {
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return noBody;
  if (fields.chunked) {
    if (minor === 0) throw malformedResponse('Transfer-Encoding in HTTP/1.0');
    return chunkedBody;
  }
  const bytes = fields.contentLength;
  if (bytes === undefined) return bodyUntilClose;
  return bytes === 0 ? noBody : { kind: 'length', bytes };
}

function isReusable(status: number, method: string, minor: number, framing: BodyFraming, fields: FieldReader): boolean {
  if (fields.close || framing.kind === 'until-close') return false;
  // Somebody on the way may have believed the length.
  if (fields.chunked && fields.contentLength !== undefined) return false;
  // A body announced where none may be: whether it follows is anyone's guess, so nothing may come after it.
  const announced = fields.chunked || (fields.contentLength ?? 0) > 0;
  if (announced && status === 204) return false;
  if (fields.chunked && status === 304 && method !== 'HEAD') return false;
  return minor === 1 || fields.keepAlive;
}

function withoutLength(headers: readonly string[]): string[] {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-length');
  return headers.toSpliced(at, 2);
}

function trimOws(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isOws(text.charCodeAt(from))) from += 1;
  while (to > from && isOws(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function isOws(code: number): boolean {
  return code === 32 || code === 9;
}

function explain(text: string): string {
  const [statusLine = '', ...lines] = text.split('\r\n');
  if (!/^HTTP\/1\.[01] [1-9][0-9][0-9](?: |$)/.test(statusLine))
    return `status line ${JSON.stringify(statusLine.slice(0, 64))}`;
  const bad = lines.find(line => !fieldGrammar.test(line));
  return bad === undefined ? 'control character in the head' : `field ${JSON.stringify(bad.slice(0, 64))}`;
}

// One deterministic pass over the whole head: no bare CR or LF, no folding, no space before a colon, no control characters.
const headGrammar =
  /^HTTP\/1\.[01] [1-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/;
const fieldGrammar = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;
const trailerGrammar =
  /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/;
/** Fifteen digits stay exact in a double. */
const digits = /^[0-9]{1,15}$/;
const forbiddenTrailers: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
