// QUIC v1 Initial packets with any payload, correctly protected: what a stranger can make a server decrypt.
// Source: RFC 9001 §5; RFC 9000 §17.2.2.

import { createCipheriv, createHmac } from 'node:crypto';

const salt = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');

/** HKDF-Expand-Label of TLS 1.3 with an empty context, for at most 32 bytes. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

export interface InitialOptions {
  /** Chosen by the client; the keys follow from it. */
  readonly destinationId: Buffer;
  readonly sourceId: Buffer;
  readonly token: Buffer;
  readonly packetNumber: number;
  /** Frames. */
  readonly payload: Buffer;
}

/** One client Initial packet, padded to 1,200 bytes unless it is longer. */
export function clientInitial(options: InitialOptions): Buffer {
  const initial = createHmac('sha256', salt).update(options.destinationId).digest();
  const client = expandLabel(initial, 'client in', 32);
  const key = expandLabel(client, 'quic key', 16);
  const iv = expandLabel(client, 'quic iv', 12);
  const headerKey = expandLabel(client, 'quic hp', 16);

  const ids = (id: Buffer): Buffer => Buffer.concat([Buffer.from([id.length]), id]);
  const before = Buffer.concat([
    Buffer.from([0xc3, 0, 0, 0, 1]),
    ids(options.destinationId),
    ids(options.sourceId),
    varint(options.token.length),
    options.token,
  ]);
  const overhead = before.length + 2 + 4 + 16;
  const payload = Buffer.concat([options.payload, Buffer.alloc(Math.max(0, 1200 - overhead - options.payload.length))]);
  const number = Buffer.alloc(4);
  number.writeUInt32BE(options.packetNumber);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(0x4000 | (4 + payload.length + 16));
  const header = Buffer.concat([before, length, number]);

  const nonce = Buffer.from(iv);
  for (let index = 0; index < 4; index += 1) nonce[8 + index] = (nonce[8 + index] ?? 0) ^ (number[index] ?? 0);
  const seal = createCipheriv('aes-128-gcm', key, nonce).setAAD(header);
  const packet = Buffer.concat([header, seal.update(payload), seal.final(), seal.getAuthTag()]);

  const numberAt = header.length - 4;
  const mask = createCipheriv('aes-128-ecb', headerKey, null).update(packet.subarray(numberAt + 4, numberAt + 20));
  packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  for (let index = 0; index < 4; index += 1)
    packet[numberAt + index] = (packet[numberAt + index] ?? 0) ^ (mask[1 + index] ?? 0);
  return packet;
}

/** A variable-length integer below 2^30. */
export function varint(value: number): Buffer {
  if (value < 64) return Buffer.from([value]);
  const bytes = Buffer.alloc(value < 16_384 ? 2 : 4);
  if (value < 16_384) bytes.writeUInt16BE(0x4000 | value);
  else bytes.writeUInt32BE(0x8000_0000 + value);
  return bytes;
}
