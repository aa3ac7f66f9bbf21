// A SOCKS5 client's UDP association, for tests that send datagrams through an on-ramp.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { encodeUdpHeader } from '../../internal/edge/private/socks/codec.ts';
import { parseIp } from '../../internal/net/ip.ts';
import { readExactly } from '../../internal/net/read-exactly.ts';

export interface SocksUdp {
  /** Payloads that came back, without their headers. */
  readonly received: Buffer[];
  send(payload: Uint8Array): void;
  close(): void;
}

/** Associates as `user` and talks to one destination. Closed with the test. */
export async function openSocksUdp(
  t: TestContext,
  proxy: { readonly host: string; readonly port: number; readonly user: string; readonly password: string },
  destination: { readonly address: string; readonly port: number },
): Promise<SocksUdp> {
  const control = connect(proxy.port, proxy.host);
  control.on('error', () => undefined);
  await once(control, 'connect');
  const [user, password] = [Buffer.from(proxy.user), Buffer.from(proxy.password)];
  const hello = [5, 1, 2, 1, user.length, ...user, password.length, ...password, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0];
  control.write(Buffer.from(hello));
  const status = [...(await readExactly(control, 4)), ...(await readExactly(control, 4))];
  if (status[3] !== 0 || status[5] !== 0) throw new Error(`The association was refused: ${status.join(' ')}`);
  const family = status[7] === 4 ? 16 : 4;
  await readExactly(control, family);
  const relay = (await readExactly(control, 2)).readUInt16BE(0);
  const address = parseIp(destination.address);
  if (address === undefined) throw new Error(`${destination.address} is no address`);
  const header = encodeUdpHeader(address, destination.port);
  const socket = createSocket(family === 16 ? 'udp6' : 'udp4');
  const received: Buffer[] = [];
  socket.on('message', message => received.push(message.subarray(header.length)));
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    control.destroy();
    socket.close();
  };
  t.after(close);
  return {
    received,
    send: payload => socket.send(Buffer.concat([header, payload]), relay, proxy.host),
    close,
  };
}
