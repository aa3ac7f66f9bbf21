// A SOCKS5 client's UDP association, for tests that send datagrams through an on-ramp.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { parseIp } from '../../internal/net/address/ip.ts';
import { encodeUdpHeader } from '../../internal/net/socks/codec.ts';
import { readExactly } from '../../internal/net/stream/read-exactly.ts';
import type { Closing } from './closing.ts';

export interface SocksUdp {
  /** Payloads that came back, without their headers. */
  readonly received: Buffer[];
  send(payload: Uint8Array): void;
  close(): void;
}

/** An association before anything was sent. */
export interface SocksAssociation {
  /** Where the client sends from; its 'message' listeners are the caller's. */
  readonly socket: Socket;
  /** Sends bytes, header included. */
  send(datagram: Uint8Array): void;
  close(): void;
}

/** How a client says who it is; without a user it says nothing. */
export interface SocksProxy {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
}

/** Associates as the proxy's user. Closed with the test. */
export async function openSocksAssociation(t: Closing, proxy: SocksProxy): Promise<SocksAssociation> {
  const control = connect(proxy.port, proxy.host);
  control.on('error', () => undefined);
  await once(control, 'connect');
  const [user, password] = [Buffer.from(proxy.user ?? ''), Buffer.from(proxy.password ?? '')];
  const credentials = [5, 1, 2, 1, user.length, ...user, password.length, ...password];
  control.write(Buffer.from([...(proxy.user === undefined ? [5, 1, 0] : credentials), 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]));
  const chosen = await readExactly(control, 2);
  const admitted = proxy.user === undefined ? 0 : (await readExactly(control, 2))[1];
  const status = await readExactly(control, 4);
  if (chosen[1] === 0xff || admitted !== 0 || status[1] !== 0)
    throw new Error(`The association was refused: ${[...chosen, admitted, ...status].join(' ')}`);
  const family = status[3] === 4 ? 16 : 4;
  await readExactly(control, family);
  const relay = (await readExactly(control, 2)).readUInt16BE(0);
  const socket = createSocket(family === 16 ? 'udp6' : 'udp4');
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    control.destroy();
    socket.close();
  };
  t.after(close);
  return { socket, send: datagram => socket.send(datagram, relay, proxy.host), close };
}

/** Associates and talks to one destination. Closed with the test. */
export async function openSocksUdp(
  t: Closing,
  proxy: SocksProxy,
  destination: { readonly address: string; readonly port: number },
): Promise<SocksUdp> {
  const address = parseIp(destination.address);
  if (address === undefined) throw new Error(`${destination.address} is no address`);
  const header = encodeUdpHeader(address, destination.port);
  const { socket, send, close } = await openSocksAssociation(t, proxy);
  const received: Buffer[] = [];
  socket.on('message', message => received.push(message.subarray(header.length)));
  return { received, send: payload => send(Buffer.concat([header, payload])), close };
}
