// The few things a forwarder must know of a DNS message: its id, its question, and the sizes it announces. Answers pass
// through unread. Source: RFC 1035 §4.1, RFC 6891 §6.1.2 (OPT), RFC 8945 §4.2 (TSIG).
//
//   0: id (2) · flags (2) · counts of questions, answers, authorities, additionals (2 each) · 12: question …

const dnsHeaderBytes = 12;
/** Longest name on the wire. */
const maxNameBytes = 255;
/** What every client takes over UDP (RFC 1035 §2.3.4). */
const leastUdpSize = 512;
const recordType = { opt: 41, tsig: 250, sig0: 24 } as const;
const flag = { response: 0x80, truncated: 0x02, recursionDesired: 0x01 } as const;
export const responseCode = { serverFailure: 2, refused: 5 } as const;

/** Where the parts of a query lie. */
export interface QueryLayout {
  /** The question reaches from the header to here. */
  readonly questionEnd: number;
  /** Where the OPT record's UDP size lies; 0 = no OPT record, or one that a signature covers. */
  readonly udpSizeAt: number;
}

/** Reads a query with one question; undefined when it is none, cut or malformed. Takes time linear in its length. */
export function readQuery(message: Uint8Array): QueryLayout | undefined {
  if (message.length < dnsHeaderBytes || (byte(message, 2) & flag.response) !== 0 || word(message, 4) !== 1)
    return undefined;
  const questionEnd = skipName(message, dnsHeaderBytes) + 4;
  if (!(questionEnd <= message.length)) return undefined;
  // Queries carry no answers; what is there is skipped like the rest.
  let records = word(message, 6) + word(message, 8) + word(message, 10);
  let at = questionEnd;
  let udpSizeAt = 0;
  for (; records > 0; records -= 1) {
    const nameEnd = skipName(message, at);
    const end = nameEnd + 10 + word(message, nameEnd + 8);
    if (!(end <= message.length)) return undefined;
    const type = word(message, nameEnd);
    if (type === recordType.opt) udpSizeAt = nameEnd + 2;
    // Changing what is signed would spoil it.
    if (type === recordType.tsig || type === recordType.sig0) udpSizeAt = 0;
    at = end;
  }
  return { questionEnd, udpSizeAt };
}

/** Whether a response was cut to fit a datagram. */
export function isTruncated(message: Uint8Array): boolean {
  return (byte(message, 2) & flag.truncated) !== 0;
}

export function readId(message: Uint8Array): number {
  return word(message, 0);
}

export function writeId(message: Uint8Array, id: number): void {
  message[0] = id >> 8;
  message[1] = id & 0xff;
}

/** The largest answer over UDP that the sender of a query takes (RFC 6891 §6.2.3). */
export function udpSizeOf(query: Uint8Array, { udpSizeAt }: QueryLayout): number {
  return Math.max(leastUdpSize, udpSizeAt === 0 ? 0 : word(query, udpSizeAt));
}

/** Lowers the UDP size that a query announces to `bytes` at most. */
export function limitUdpSize(query: Uint8Array, { udpSizeAt }: QueryLayout, bytes: number): void {
  if (udpSizeAt === 0 || word(query, udpSizeAt) <= bytes) return;
  query[udpSizeAt] = bytes >> 8;
  query[udpSizeAt + 1] = bytes & 0xff;
}

/** The question of a query in comparable form: resolvers may change the case of letters. */
export function questionOf(query: Uint8Array, questionEnd: number): string {
  return Buffer.from(query.buffer, query.byteOffset + dnsHeaderBytes, questionEnd - dnsHeaderBytes)
    .toString('latin1')
    .toLowerCase();
}

/** Whether a message is a response to this question; one that only reports an error may leave the question out. */
export function answersQuestion(message: Uint8Array, question: string): boolean {
  if (message.length < dnsHeaderBytes || (byte(message, 2) & flag.response) === 0) return false;
  const questions = word(message, 4);
  if (questions === 0) return (byte(message, 3) & 0x0f) !== 0;
  const end = dnsHeaderBytes + question.length;
  return questions === 1 && message.length >= end && questionOf(message, end) === question;
}

/** A response without answers to the query. */
export function encodeFailure(query: Uint8Array, { questionEnd }: QueryLayout, code: number): Uint8Array {
  // A copy whatever the type is: the slice of a Buffer would be a view.
  const response = Uint8Array.from(query.subarray(0, questionEnd));
  response[2] = (byte(query, 2) & ~flag.truncated) | flag.response;
  response[3] = code;
  response.fill(0, 6, dnsHeaderBytes);
  return response;
}

/** The answer to the query without its records, marked as cut: the client asks again over TCP. */
export function encodeTruncated(answer: Uint8Array, { questionEnd }: QueryLayout): Uint8Array {
  const response = Uint8Array.from(answer.subarray(0, questionEnd));
  response[2] = byte(answer, 2) | flag.truncated;
  response.fill(0, 6, dnsHeaderBytes);
  return response;
}

/** Where the name that begins at `at` ends; NaN when it is malformed. A compression pointer ends a name. */
function skipName(message: Uint8Array, at: number): number {
  for (let position = at; position < message.length && position - at <= maxNameBytes; ) {
    const length = byte(message, position);
    if (length === 0) return position + 1;
    if ((length & 0xc0) === 0xc0) return position + 2;
    if ((length & 0xc0) !== 0) return Number.NaN;
    position += 1 + length;
  }
  return Number.NaN;
}

function byte(message: Uint8Array, at: number): number {
  return message[at] ?? 0;
}

function word(message: Uint8Array, at: number): number {
  return (byte(message, at) << 8) | byte(message, at + 1);
}
