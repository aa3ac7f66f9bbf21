// Frames that a WebSocket server sends: never masked. Source: RFC 6455 §5.2, §5.5.1.

/** Header of an unmasked frame of at most 64 KiB; `first` is FIN with the opcode. */
export function frameHeader(first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, length]);
  return Buffer.from([first, 126, length >> 8, length & 0xff]);
}

/** First bytes of whole frames. */
export const frameKinds = { text: 0x81, close: 0x88, ping: 0x89, pong: 0x8a } as const;

/** A whole frame. */
export function encodeFrame(first: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(first, payload.length), payload]);
}

/** A close frame; `reason` has at most 123 bytes. */
export function encodeClose(code: number, reason: string): Buffer {
  return encodeFrame(frameKinds.close, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
}
