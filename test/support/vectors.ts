// The recorded conversations of test/vectors, see its README.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RecordedPart {
  readonly from: 'connector' | 'edge';
  readonly bytes: Buffer;
}

export interface RecordedEntry {
  readonly name: string;
  readonly note: string;
  readonly parts: readonly RecordedPart[];
  readonly meta: Readonly<Record<string, unknown>>;
}

export type VectorFile = 'http2' | 'quic-datagram-v2' | 'quic-datagram-v3' | 'quic-registration-error';

/** All entries of one file, in order. */
export function readVectors(file: VectorFile): RecordedEntry[] {
  const text = readFileSync(join(import.meta.dirname, '..', 'vectors', `${file}.json`), 'utf8');
  const entries = JSON.parse(text) as {
    name: string;
    note?: string;
    bytes?: { from: 'connector' | 'edge'; hex: string }[];
    meta?: Record<string, unknown>;
  }[];
  return entries.map(entry => ({
    name: entry.name,
    note: entry.note ?? '',
    parts: (entry.bytes ?? []).map(part => ({ from: part.from, bytes: Buffer.from(part.hex, 'hex') })),
    meta: entry.meta ?? {},
  }));
}

/** One entry by name. */
export function readVector(file: VectorFile, name: string): RecordedEntry {
  const entry = readVectors(file).find(each => each.name === name);
  if (entry === undefined) throw new Error(`There is no ${name} in ${file}.json`);
  return entry;
}

/** Everything one side of a recorded entry sent, joined. */
export function sentBy(entry: RecordedEntry, from: RecordedPart['from']): Buffer {
  return Buffer.concat(entry.parts.filter(part => part.from === from).map(part => part.bytes));
}

/** One Cap'n Proto message of capnp-messages.json. */
export function readMessage(name: string): Buffer {
  const found = readMessages().find(each => each.name === name);
  if (found === undefined) throw new Error(`There is no ${name} in capnp-messages.json`);
  return Buffer.from(found.hex, 'hex');
}

export function readMessageNames(): string[] {
  return readMessages().map(each => each.name);
}

function readMessages(): { name: string; hex: string }[] {
  const text = readFileSync(join(import.meta.dirname, '..', 'vectors', 'capnp-messages.json'), 'utf8');
  return JSON.parse(text) as { name: string; hex: string }[];
}
