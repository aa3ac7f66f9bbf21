// The server side of SOCKS5 on a byte stream: greeting, CONNECT, reply; then the two streams are joined.
// Source: RFC 1928; docs/protocol/ingress-and-origin.md §10.4.
//
//   client: 05 n methods[n]            server: 05 00 | 05 FF
//   client: 05 cmd 00 atyp addr port   server: 05 rep 00 atyp addr port

import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { foreignCode, PosternError } from '../errors/error.ts';
import { formatIp, type IpBytes, parseIp } from '../net/address/ip.ts';
import { readExactly } from '../net/stream/read-exactly.ts';
import { splice } from '../net/stream/splice.ts';

/** What a CONNECT leads to; `open` rejects with SocksDenied or a dial error. */
export interface SocksTarget {
  open(host: string, port: number): Promise<Socket>;
}

/** The policy does not allow the destination, or its name does not resolve. */
export class SocksDenied extends Error {
  override readonly name = 'SocksDenied';
}

/** A client gets this long for its two messages. */
const handshakeTimeoutMs = 30_000;
const maxNameBytes = 255;

const replies = {
  success: 0,
  denied: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  command: 7,
  address: 8,
};

/**
 * Runs the handshake on `stream`, opens the target and joins both; settles when they are joined. Rejects when the client
 * breaks the protocol, asks for what is not offered, or the target cannot be opened: the reply was sent then, and the
 * caller ends the stream.
 */
export async function acceptSocks(stream: Duplex, target: SocksTarget): Promise<void> {
  const timer = setTimeout(() => stream.destroy(new Error('SOCKS handshake took too long')), handshakeTimeoutMs);
  try {
    await greet(stream);
    const { host, port } = await readRequest(stream);
    clearTimeout(timer);
    const socket = await openTarget(stream, target, host, port);
    if (stream.destroyed) {
      socket.destroy();
      return;
    }
    stream.write(encodeReply(replies.success, parseIp(socket.localAddress ?? ''), socket.localPort ?? 0));
    splice(stream, socket);
  } finally {
    clearTimeout(timer);
  }
}

async function greet(stream: Duplex): Promise<void> {
  const [version, count] = (await readExactly(stream, 2)) as unknown as [number, number];
  if (version !== 5) throw malformed(`version ${version}`);
  const methods = count === 0 ? Buffer.alloc(0) : await readExactly(stream, count);
  if (!methods.includes(0)) {
    stream.end(Buffer.from([5, 0xff]));
    throw malformed('the client does not offer "no authentication"');
  }
  stream.write(Buffer.from([5, 0]));
}

async function readRequest(stream: Duplex): Promise<{ host: string; port: number }> {
  const [version, command, , type] = (await readExactly(stream, 4)) as unknown as [number, number, number, number];
  if (version !== 5) throw malformed(`version ${version}`);
  const host = await readAddress(stream, type);
  const port = (await readExactly(stream, 2)).readUInt16BE(0);
  if (command !== 1) {
    stream.end(encodeReply(replies.command));
    throw malformed(`command ${command}`);
  }
  return { host, port };
}

async function readAddress(stream: Duplex, type: number): Promise<string> {
  if (type === 1) return formatIp(await readExactly(stream, 4));
  if (type === 4) return formatIp(await readExactly(stream, 16));
  if (type !== 3) {
    stream.end(encodeReply(replies.address));
    throw malformed(`address type ${type}`);
  }
  const length = (await readExactly(stream, 1))[0] ?? 0;
  if (length === 0 || length > maxNameBytes) throw malformed('an empty name');
  const name = (await readExactly(stream, length)).toString('latin1');
  if (isIP(name) === 0 && !/^[A-Za-z0-9._-]+$/.test(name)) throw malformed(`name ${JSON.stringify(name)}`);
  return name;
}

async function openTarget(stream: Duplex, target: SocksTarget, host: string, port: number): Promise<Socket> {
  try {
    return await target.open(host, port);
  } catch (error) {
    stream.end(encodeReply(replyCode(error)));
    throw error;
  }
}

function replyCode(error: unknown): number {
  if (error instanceof SocksDenied) return replies.denied;
  const cause = error instanceof PosternError ? (error.details?.cause ?? foreignCode(error.cause)) : foreignCode(error);
  if (cause === 'ECONNREFUSED') return replies.refused;
  if (cause === 'ENETUNREACH') return replies.networkUnreachable;
  return replies.hostUnreachable;
}

function encodeReply(code: number, address: IpBytes = new Uint8Array(4), port = 0): Buffer {
  return Buffer.concat([
    Buffer.from([5, code, 0, address.length === 16 ? 4 : 1]),
    address,
    Buffer.from([port >> 8, port & 0xff]),
  ]);
}

function malformed(reason: string): PosternError {
  return new PosternError('protocol.malformed', `The SOCKS client sent what cannot be served: ${reason}`);
}
