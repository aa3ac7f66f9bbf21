// The SOCKS5 on-ramp: handshake, authentication, CONNECT and UDP ASSOCIATE into a virtual network. Source: RFC 1928,
// RFC 1929.

import type { Socket } from 'node:net';
import { describeError, isPosternError } from '../../errors/error.ts';
import { parseIp, plainAddress } from '../../net/address/ip.ts';
import { AddressLimiter, type AddressLimits, PlaceLimiter } from '../../net/limits/address-limiter.ts';
import {
  command,
  encodeReply,
  method,
  readCredentials,
  readGreeting,
  readRequest,
  reply,
  type SocksRequest,
  socksVersion,
} from '../../net/socks/codec.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Admission, Admitted } from '../entrance/admission.ts';
import { joinFlow } from '../entrance/join-flow.ts';
import { handshakeLimits, type ListenOptions, openListener, type TcpListener } from '../entrance/listener.ts';
import { privateHostOf } from './private-host-of.ts';
import { type AssociationCounters, createAssociationCounters, UdpAssociation } from './udp-association.ts';

export interface SocksServerOptions extends ListenOptions {
  readonly network: PrivateNetwork;
  readonly admission: Admission;
  readonly logger: Logger;
  /** Default: `handshakeLimits`. */
  readonly handshakeLimits?: AddressLimits;
  /** Default: room for thousands. */
  readonly associationLimits?: { readonly total: number; readonly perAccount: number; readonly perAddress: number };
}

export interface SocksServer extends TcpListener {
  readonly associations: AssociationCounters;
  /** Associations refused at their limit. */
  refusedAssociations(): number;
}

/**
 * UDP associations at once: each is a socket of the edge. One address has room for a busy office behind NAT, one account for
 * half of the places.
 */
export const associationLimits = { total: 8_192, perAccount: 4_096, perAddress: 1_024 } as const;

/** For greeting, credentials and request: three messages that a client sends at once. */
const handshakeTimeoutMs = 10_000;

/** A server's state. */
interface Serving extends SocksServerOptions {
  readonly associations: AssociationCounters;
  readonly handshakes: AddressLimiter;
  readonly perAddress: AddressLimiter;
  readonly perAccount: PlaceLimiter;
  refused: number;
}

/** Listens. Throws 'listen.failed'. */
export async function openSocksServer(options: SocksServerOptions): Promise<SocksServer> {
  const { total, perAccount, perAddress } = options.associationLimits ?? associationLimits;
  const serving: Serving = {
    ...options,
    associations: createAssociationCounters(),
    handshakes: new AddressLimiter(options.handshakeLimits ?? handshakeLimits),
    perAddress: new AddressLimiter({ total, perAddress }),
    perAccount: new PlaceLimiter({ total, perAddress: perAccount }),
    refused: 0,
  };
  const listener = await openListener(options, socket => {
    serve(socket, serving).catch((error: unknown) => {
      options.logger.debug({ src: socket.remoteAddress, error: describeError(error) }, 'SOCKS client not served');
      // A refusal that was written still goes out.
      if (socket.writableEnded) socket.destroySoon();
      else socket.destroy();
    });
  });
  return { ...listener, associations: serving.associations, refusedAssociations: () => serving.refused };
}

async function serve(socket: Socket, options: Serving): Promise<void> {
  const leave = options.handshakes.admit(socket.remoteAddress);
  if (leave === undefined) {
    options.admission.refused.connections += 1;
    socket.destroy();
    return;
  }
  const deadline = setTimeout(() => socket.destroy(), handshakeTimeoutMs);
  let admitted: Admitted | undefined;
  let request: SocksRequest;
  try {
    admitted = await authenticate(socket, options);
    if (admitted === undefined) return;
    request = await readRequest(socket, () => socket.end(encodeReply(reply.address)));
  } finally {
    clearTimeout(deadline);
    leave();
  }
  const visitor: Visitor = {
    onRamp: 'socks',
    ...admitted,
    sourceAddress: plainAddress(socket.remoteAddress),
    sourcePort: socket.remotePort ?? 0,
  };
  if (request.command === command.connect) await connect(socket, request, visitor, options);
  else if (request.command === command.udpAssociate) await associate(socket, request, visitor, options);
  else refuse(socket, encodeReply(reply.command));
}

/** Where the client may go; undefined when it was told that it may not. */
async function authenticate(socket: Socket, { admission }: SocksServerOptions): Promise<Admitted | undefined> {
  const methods = await readGreeting(socket);
  if (methods.includes(method.password)) {
    socket.write(Buffer.from([socksVersion, method.password]));
    const credentials = await readCredentials(socket);
    try {
      const admitted = await admission.admit(credentials, socket);
      socket.write(Buffer.from([1, 0]));
      return admitted;
    } catch (error) {
      // RFC 1929 leaves the number to the server: 2 says that the password was right and the user name was not.
      socket.end(Buffer.from([1, isPosternError(error, 'flow.denied') ? 2 : 1]));
      throw error;
    }
  }
  if (!methods.includes(method.none) || !admission.isOpen) {
    refuse(socket, Buffer.from([socksVersion, method.noneAcceptable]));
    return undefined;
  }
  let admitted: Admitted;
  try {
    admitted = await admission.admit(undefined, socket);
  } catch (error) {
    socket.end(Buffer.from([socksVersion, method.noneAcceptable]));
    throw error;
  }
  socket.write(Buffer.from([socksVersion, method.none]));
  return admitted;
}

async function connect(
  socket: Socket,
  { host: wanted, port }: SocksRequest,
  visitor: Visitor,
  { network }: SocksServerOptions,
): Promise<void> {
  const host = privateHostOf(wanted);
  if (host === undefined || port === 0) {
    refuse(socket, encodeReply(reply.hostUnreachable));
    return;
  }
  try {
    const flow = await network.openTcp(visitor, host, port, socket);
    socket.write(encodeReply(reply.success));
    joinFlow(socket, flow);
  } catch (error) {
    socket.end(encodeReply(replyCode(error)));
    throw error;
  }
}

async function associate(
  socket: Socket,
  { port: clientPort }: SocksRequest,
  visitor: Visitor,
  options: Serving,
): Promise<void> {
  const { network: privateNetwork } = options;
  if (privateNetwork.lacksDatagrams(visitor.network.accountTag)) {
    options.logger.warn(
      { src: visitor.sourceAddress },
      'UDP ASSOCIATE refused: no connector of the account carries datagrams now, which takes QUIC',
    );
    refuse(socket, encodeReply(reply.networkUnreachable));
    return;
  }
  const places = [
    options.perAccount.admit(visitor.network.accountTag),
    options.perAddress.admit(visitor.sourceAddress),
  ];
  const giveBack = (): void => {
    for (const place of places) place?.();
  };
  if (places.includes(undefined)) {
    giveBack();
    options.refused += 1;
    refuse(socket, encodeReply(reply.failure));
    return;
  }
  socket.once('close', giveBack);
  const localAddress = plainAddress(socket.localAddress);
  let association: UdpAssociation;
  try {
    const { network, associations: counters } = options;
    association = await UdpAssociation.open({ network, visitor, localAddress, clientPort, counters });
  } catch (error) {
    socket.end(encodeReply(reply.failure));
    throw error;
  }
  // The TCP connection carries nothing more; its end is the association's.
  socket.once('close', () => association.close());
  socket.once('end', () => socket.destroy());
  if (socket.destroyed) association.close();
  else socket.resume().write(encodeReply(reply.success, parseIp(localAddress), association.port));
}

/** The last thing the client hears. */
function refuse(socket: Socket, message: Buffer): void {
  socket.end(message);
  socket.destroySoon();
}

function replyCode(error: unknown): number {
  if (!isPosternError(error)) return reply.failure;
  switch (error.code) {
    case 'flow.denied':
      return reply.denied;
    case 'connection.lost':
      return reply.networkUnreachable;
    case 'origin.refused':
      return reply.refused;
    case 'origin.unreachable':
    case 'dial.timeout':
      return reply.hostUnreachable;
    default:
      return reply.failure;
  }
}
