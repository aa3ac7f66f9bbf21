// The layout that ConnectRequest and ConnectResponse share: an optional u16, one text and a list of text pairs. This is
// the hot path of QUIC requests, so the usual layout (one segment, no far pointers) is read and written by hand, with
// one string conversion for the whole message; any other layout goes through capnp-reader.ts. Source:
// docs/protocol/edge-protocol.md §6.1, measured by test/bench/capnp.ts.
//
//   table | root → struct { [u16] | p0 text | p1 list } | text | tag, (key, value)… | key | value | key | value | …
//
// Texts hold one byte a character ('latin1'): header values are bytes, not always UTF-8, and must pass unchanged.

import { measureFrame, openFrame } from '../capnp/framing.ts';

/** Fields of either message. `metadata` is flat: [key, value, key, value, …]. */
export interface ConnectFields {
  readonly tag: number;
  readonly text: string;
  readonly metadata: string[];
}

/**
 * Largest head accepted: what cloudflared takes as a header list over HTTP/2 (1 MiB), and an eighth more for
 * pointers and padding.
 */
export const maxHeadBytes = (1 << 20) + (1 << 17);

/**
 * Up to this size all texts of a message are slices of one string, which is fast but keeps that string alive as long as
 * one of them; larger messages pay for copies.
 */
const sharedStringBytes = 16 * 1024;
const notLatin1 = /[^\u0000-\u00ff]/;
/** The zero byte that ends a text and those that fill up its word, by length modulo 8. */
const padding = Array.from({ length: 8 }, (_, rest) => '\0'.repeat(8 - rest));

/** Bytes from `start` that the head needs in all, as far as can be told; see `measureFrame`. */
export function measureHead(bytes: Uint8Array, start: number, end: number): number {
  return measureFrame(bytes, start, end, maxHeadBytes);
}

/** Writes `prefix` and a framed message. `dataWords` is 1 for a request (the tag), 0 for a response. */
export function encodeConnect(
  prefix: Uint8Array,
  dataWords: 0 | 1,
  tag: number,
  text: string,
  metadata: readonly string[],
): Buffer {
  let texts = '';
  for (const each of metadata) texts += each + paddingOf(each);
  if (notLatin1.test(text) || notLatin1.test(texts))
    return encodeConnect(prefix, dataWords, tag, utf8Bytes(text), metadata.map(utf8Bytes));

  const pairs = metadata.length >> 1;
  const textBytes = text === '' ? 0 : text.length + paddingOf(text).length;
  const listBytes = pairs === 0 ? 0 : 8 + pairs * 16;
  const table = prefix.length;
  const segment = table + 8;
  const struct = segment + 8 + dataWords * 8;
  const list = struct + 16 + textBytes;
  const total = list + listBytes + texts.length;
  const out = Buffer.allocUnsafe(total);
  for (let index = 0; index < table; index += 1) out[index] = prefix[index] ?? 0;
  put(out, table, 0, (total - segment) >> 3);
  put(out, segment, 0, dataWords | (2 << 16));
  if (dataWords === 1) put(out, segment + 8, tag, 0);
  if (textBytes === 0) {
    put(out, struct, 0, 0);
  } else {
    // The text follows the two pointers directly.
    put(out, struct, (1 << 2) | 1, ((text.length + 1) << 3) | 2);
    out.write(text + paddingOf(text), struct + 16, textBytes, 'latin1');
  }
  if (pairs === 0) {
    put(out, struct + 8, 0, 0);
    return out;
  }
  put(out, struct + 8, ((textBytes >> 3) << 2) | 1, ((pairs * 2) << 3) | 7);
  put(out, list, pairs << 2, 2 << 16);
  let target = list + listBytes;
  out.write(texts, target, texts.length, 'latin1');
  let pointer = list + 8;
  for (const each of metadata) {
    put(out, pointer, (((target - pointer - 8) >> 3) << 2) | 1, ((each.length + 1) << 3) | 2);
    target += (each.length + 8) & ~7;
    pointer += 8;
  }
  return out;
}

/**
 * Reads a complete framed message of `length` bytes at `start`. Copies; the buffer may be reused afterwards. Throws
 * 'protocol.malformed' and 'protocol.too-large'.
 */
export function decodeConnect(bytes: Buffer, start: number, length: number): ConnectFields {
  if (length <= sharedStringBytes && int32(bytes, start) === 0) {
    const fields = decodeUsual(bytes, start, start + length);
    if (fields !== undefined) return fields;
  }
  const root = openFrame(bytes, start).root();
  const metadata: string[] = [];
  const list = root.list(1);
  for (let index = 0; index < list.length; index += 1)
    metadata.push(list.text(index, 0, 'latin1'), list.text(index, 1, 'latin1'));
  return { tag: root.uint16(0), text: root.text(0, 'latin1'), metadata };
}

/** The usual layout; undefined for any other, valid or not. */
function decodeUsual(bytes: Buffer, start: number, end: number): ConnectFields | undefined {
  const segment = start + 8;
  const root = int32(bytes, segment);
  const sizes = int32(bytes, segment + 4);
  const dataBytes = (sizes & 0xffff) * 8;
  const struct = segment + 8 + (root >> 2) * 8;
  const pointers = struct + dataBytes;
  if ((root & 3) !== 0 || sizes >>> 16 < 2 || struct < segment + 8 || pointers + 16 > end) return undefined;
  const tag = dataBytes === 0 ? 0 : (bytes[struct] ?? 0) | ((bytes[struct + 1] ?? 0) << 8);
  const all = bytes.toString('latin1', segment, end);
  const text = sliceText(bytes, segment, end, all, pointers);
  if (text === undefined) return undefined;
  const metadata: string[] = [];
  const listLow = int32(bytes, pointers + 8);
  const listHigh = int32(bytes, pointers + 12);
  if (listLow === 0 && listHigh === 0) return { tag, text, metadata };
  const list = pointers + 16 + (listLow >> 2) * 8;
  if ((listLow & 3) !== 1 || (listHigh & 7) !== 7 || list < segment || list + 8 > end) return undefined;
  const tagLow = int32(bytes, list);
  const words = (tagLow >>> 2) * 2;
  const after = list + 8 + words * 8;
  if ((tagLow & 3) !== 0 || int32(bytes, list + 4) !== 2 << 16 || words > listHigh >>> 3 || after > end)
    return undefined;
  // Texts of an honest message do not overlap, so together they are not longer than it.
  let budget = end - segment;
  for (let pointer = list + 8; pointer < after; pointer += 16) {
    const key = sliceText(bytes, segment, end, undefined, pointer);
    const value = sliceText(bytes, segment, end, all, pointer + 8);
    if (key === undefined || value === undefined) return undefined;
    budget -= key.length + value.length;
    if (budget < 0) return undefined;
    metadata.push(key, value);
  }
  return { tag, text, metadata };
}

/** `all` is the segment as a string; without it the text is a key, of which few different ones come. */
function sliceText(
  bytes: Buffer,
  segment: number,
  end: number,
  all: string | undefined,
  pointer: number,
): string | undefined {
  const low = int32(bytes, pointer);
  const high = int32(bytes, pointer + 4);
  if (low === 0 && high === 0) return '';
  const from = pointer + 8 + (low >> 2) * 8;
  const last = from + (high >>> 3) - 1;
  if ((low & 3) !== 1 || (high & 7) !== 2 || from < segment || last < from || last >= end || bytes[last] !== 0)
    return undefined;
  return all === undefined ? rememberedKey(bytes, from, last) : all.substring(from - segment, last - segment);
}

/**
 * The same string object for the same key each time, found without making a string: later look-ups by key then compare
 * pointers. A fixed number of slots, each holding the key that hashed to it last.
 */
const keySlots: ({ readonly bytes: Buffer; readonly text: string } | undefined)[] = new Array(1024).fill(undefined);
const keySlotMask = 1023;
const maxKeyBytes = 64;

function rememberedKey(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  if (length > maxKeyBytes) return bytes.toString('latin1', from, to);
  // Header keys begin alike, so the end and the length tell them apart.
  const tail = ((bytes[to - 1] ?? 0) << 16) ^ ((bytes[to - 3] ?? 0) << 8) ^ (bytes[to - 5] ?? 0);
  const slot = (Math.imul(tail ^ (length << 24), 0x9e3779b1) >>> 16) & keySlotMask;
  const known = keySlots[slot];
  if (known !== undefined && known.bytes.length === length) {
    let at = 0;
    while (at < length && known.bytes[at] === bytes[from + at]) at += 1;
    if (at === length) return known.text;
  }
  const text = bytes.toString('latin1', from, to);
  keySlots[slot] = { bytes: Buffer.from(text, 'latin1'), text };
  return text;
}

/** Two little-endian words at `at`. */
function put(out: Buffer, at: number, low: number, high: number): void {
  out[at] = low;
  out[at + 1] = low >> 8;
  out[at + 2] = low >> 16;
  out[at + 3] = low >> 24;
  out[at + 4] = high;
  out[at + 5] = high >> 8;
  out[at + 6] = high >> 16;
  out[at + 7] = high >> 24;
}

function int32(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function paddingOf(text: string): string {
  return padding[text.length & 7] ?? '';
}

/** A string whose characters are the UTF-8 bytes of `text`; the same string when it is one byte a character already. */
function utf8Bytes(text: string): string {
  return notLatin1.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}
