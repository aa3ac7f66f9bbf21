// The QUIC datagrams among the recorded bytes (test/vectors), in the order seen.

import { readFileSync } from 'node:fs';

export interface RecordedDatagram {
  readonly from: 'edge' | 'connector';
  readonly bytes: Uint8Array;
}

interface Entry {
  readonly name: string;
  readonly bytes: ReadonlyArray<{ readonly from: 'edge' | 'connector'; readonly hex: string }>;
}

/** All datagrams of one vector file: the entries whose name begins with `quic-datagram`. */
export function recordedDatagrams(file: 'quic-datagram-v2.json' | 'quic-datagram-v3.json'): RecordedDatagram[] {
  const entries = JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8')) as Entry[];
  return entries
    .filter(entry => entry.name.startsWith('quic-datagram'))
    .flatMap(entry => entry.bytes.map(({ from, hex }) => ({ from, bytes: Uint8Array.from(Buffer.from(hex, 'hex')) })));
}
