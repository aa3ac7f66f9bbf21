// Frames of a WebSocket as they are sent. Source: RFC 6455 §5.2, §5.5.1.

/**
 * Header of a frame of at most 64 KiB; `first` is FIN with the opcode. A client's has a mask, here all zeros, which leaves the
 * payload as it is: masks keep a page's script from fooling proxies on the way (RFC 6455 §10.3), and inside a connector's
 * connection there is neither.
 */
export function frameHeader(first: number, length: number, isClient = false): Buffer {
  const mask = isClient ? [0, 0, 0, 0] : [];
  const bit = isClient ? 0x80 : 0;
  if (length < 126) return Buffer.from([first, bit | length, ...mask]);
  return Buffer.from([first, bit | 126, length >> 8, length & 0xff, ...mask]);
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
