// The server side of SOCKS5 on a byte stream: greeting, CONNECT, reply; then the two streams are joined.
// Source: RFC 1928; docs/protocol/ingress-and-origin.md §10.4.

import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { formatIp, parseIp } from '../../net/address/ip.ts';
import {
  command,
  encodeReply,
  method,
  readGreeting,
  readRequest,
  reply,
  type SocksHost,
  socksVersion,
} from '../../net/socks/codec.ts';
import { splice } from '../../net/stream/splice.ts';

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

/**
 * Runs the handshake on `stream`, opens the target and joins both; settles when they are joined. Rejects when the client
 * breaks the protocol, asks for what is not offered, or the target cannot be opened: the reply was sent then, and the
 * caller ends the stream.
 */
export async function acceptSocks(stream: Duplex, target: SocksTarget): Promise<void> {
  const timer = setTimeout(() => stream.destroy(new Error('SOCKS handshake took too long')), handshakeTimeoutMs);
  try {
    await greet(stream);
    const { host, port } = await readConnect(stream);
    clearTimeout(timer);
    const socket = await openTarget(stream, target, host, port);
    if (stream.destroyed) {
      socket.destroy();
      return;
    }
    stream.write(encodeReply(reply.success, parseIp(socket.localAddress ?? ''), socket.localPort ?? 0));
    splice(stream, socket);
  } finally {
    clearTimeout(timer);
  }
}

async function greet(stream: Duplex): Promise<void> {
  const methods = await readGreeting(stream);
  if (!methods.includes(method.none)) {
    stream.end(Buffer.from([socksVersion, method.noneAcceptable]));
    throw malformed('the client does not offer "no authentication"');
  }
  stream.write(Buffer.from([socksVersion, method.none]));
}

async function readConnect(stream: Duplex): Promise<{ host: string; port: number }> {
  const request = await readRequest(stream, () => stream.end(encodeReply(reply.address)));
  const host = hostText(request.host);
  if (request.command !== command.connect) {
    stream.end(encodeReply(reply.command));
    throw malformed(`command ${request.command}`);
  }
  return { host, port: request.port };
}

function hostText(host: SocksHost): string {
  if (host.kind === 'address') return formatIp(host.address);
  const { name } = host;
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
  if (error instanceof SocksDenied) return reply.denied;
  const cause = error instanceof PosternError ? (error.details?.cause ?? foreignCode(error.cause)) : foreignCode(error);
  if (cause === 'ECONNREFUSED') return reply.refused;
  if (cause === 'ENETUNREACH') return reply.networkUnreachable;
  return reply.hostUnreachable;
}

function malformed(reason: string): PosternError {
  return new PosternError('protocol.malformed', `The SOCKS client sent what cannot be served: ${reason}`);
}
