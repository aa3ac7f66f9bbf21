// Reads what a TLS client says first, in the clear, before anybody answers it: which server it wants. Only as much is looked
// at as that takes. Source: RFC 8446 §4.1.2, §5.1; RFC 6066 §3 (server name); RFC 7301 §3.1 (ALPN); RFC 9849 §5 (encrypted
// ClientHello: then the name is that of whoever could decrypt it).
//
//   record:    |22|3.x|length 16|fragment …          the message may be cut over several records
//   handshake: |1|length 24|version|random 32|session id 8+…|suites 16+…|compression 8+…|extensions 16+…|
//   extension: |type 16|length 16|body …

/** Most bytes looked at: some eight times what a browser sends with post-quantum key shares, and less than a read. */
export const maxHelloBytes = 16 * 1024;

export type ClientHello =
  /** It may still become one. */
  | { readonly kind: 'more' }
  /** No TLS, or none that a server could make sense of. */
  | { readonly kind: 'other' }
  | { readonly kind: 'too-large' }
  | {
      readonly kind: 'hello';
      /** Lower case; undefined = none was named. */
      readonly serverName: string | undefined;
      readonly alpn: readonly string[];
      /** The name that is meant may be another one, which only its server can read. */
      readonly isEncrypted: boolean;
    };

const more = { kind: 'more' } as const;
const other = { kind: 'other' } as const;
const handshakeRecord = 22;
const clientHelloMessage = 1;
const extensionTypes = { serverName: 0, alpn: 16, encryptedClientHello: 0xfe0d } as const;
/** Clients use one, those that cut it to fool middle boxes a few. A bound on the work that one more byte makes. */
const maxRecords = 16;
/** RFC 8446 §5.1: 2^14. */
const maxFragmentBytes = 16_384;

/** What the first `bytes` of a connection are. Never throws. */
export function readClientHello(bytes: Buffer): ClientHello {
  const message = readMessage(bytes);
  if (!Buffer.isBuffer(message)) return bytes.length >= maxHelloBytes && message.kind === 'more' ? tooLarge : message;
  try {
    return readHello(message);
  } catch (error) {
    if (error instanceof RangeError) return other;
    throw error;
  }
}

const tooLarge = { kind: 'too-large' } as const;

/** The whole handshake message, without its header, out of its records. */
function readMessage(bytes: Buffer): Buffer | typeof more | typeof other | typeof tooLarge {
  const fragments: Buffer[] = [];
  let gathered = 0;
  let wanted = Number.POSITIVE_INFINITY;
  for (let offset = 0; ; ) {
    if (offset < bytes.length && bytes[offset] !== handshakeRecord) return other;
    if (offset + 1 < bytes.length && bytes[offset + 1] !== 3) return other;
    if (bytes.length - offset < 5) return more;
    const length = bytes.readUInt16BE(offset + 3);
    if (length === 0 || length > maxFragmentBytes) return other;
    const fragment = bytes.subarray(offset + 5, offset + 5 + length);
    fragments.push(fragment);
    if (fragments.length > maxRecords) return other;
    gathered += fragment.length;
    const start = fragments.length === 1 ? fragment : Buffer.concat(fragments);
    if (start.length > 0 && start[0] !== clientHelloMessage) return other;
    if (start.length >= 4) wanted = start.readUIntBE(1, 3);
    if (wanted !== Number.POSITIVE_INFINITY && wanted + 4 > maxHelloBytes) return tooLarge;
    if (gathered >= wanted + 4) return start.subarray(4, 4 + wanted);
    if (fragment.length < length) return more;
    offset += 5 + length;
  }
}

/** Throws RangeError where it ends too early. */
function readHello(message: Buffer): ClientHello {
  const reader = new Reader(message);
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  reader.skip(reader.number(2));
  reader.skip(reader.number(1));
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  let isEncrypted = false;
  const extensions = reader.isAtEnd ? new Reader(Buffer.alloc(0)) : new Reader(reader.bytes(reader.number(2)));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const body = new Reader(extensions.bytes(extensions.number(2)));
    if (type === extensionTypes.serverName) serverName = readServerName(body);
    else if (type === extensionTypes.alpn) alpn = readAlpn(body);
    else if (type === extensionTypes.encryptedClientHello) isEncrypted = true;
  }
  return { kind: 'hello', serverName, alpn, isEncrypted };
}

function readServerName(body: Reader): string | undefined {
  const names = new Reader(body.bytes(body.number(2)));
  while (!names.isAtEnd) {
    const type = names.number(1);
    const name = names.bytes(names.number(2));
    if (type === 0) return name.toString('latin1').toLowerCase();
  }
  return undefined;
}

function readAlpn(body: Reader): readonly string[] {
  const names = new Reader(body.bytes(body.number(2)));
  const found: string[] = [];
  while (!names.isAtEnd) found.push(names.bytes(names.number(1)).toString('latin1'));
  return found;
}

/** Throws RangeError beyond the end. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  /** Big-endian. */
  number(size: number): number {
    this.skip(size);
    return this.#bytes.readUIntBE(this.#offset - size, size);
  }

  bytes(length: number): Buffer {
    this.skip(length);
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  skip(length: number): void {
    if (this.#offset + length > this.#bytes.length) throw new RangeError('the ClientHello ends too early');
    this.#offset += length;
  }
}
