// The parts that macOS uses, run on Linux: our echo id NAT over one ICMP datagram socket driven by Node's UDP handle. A
// ping socket bound to the id that the NAT chooses first stands in for Darwin's. Prints one line and ends.
// Argument: the host to ask. To be run in a network namespace whose group may open ping sockets.

import { DgramIcmpSocket } from '../../internal/icmp/dgram-icmp-socket.ts';
import { SharedEcho } from '../../internal/icmp/shared-echo.ts';
import { parseIp } from '../../internal/net/address/ip.ts';
import { createIcmpFd, encodeSocketAddress, linuxAbi, openLibC, socketType } from '../../internal/net/linux/libc.ts';
import { icmpType, writeIcmpMessage } from '../../internal/net/packet/packet-icmp.ts';

const destination = parseIp(process.argv[2] ?? '');
if (destination === undefined) throw new Error('The argument must be an IP address');
const family = destination.length === 4 ? 4 : 6;
const identifier = 4242;
const libc = await openLibC();
const opened = createIcmpFd(libc, linuxAbi, family, socketType.datagram);
if ('errno' in opened) throw new Error(libc.strerror(opened.errno));
const name = encodeSocketAddress(linuxAbi, new Uint8Array(destination.length), identifier, 0);
if (libc.bind(opened.fd, name, name.length) < 0) throw new Error(libc.strerror(libc.errno()));
const shared = new SharedEcho('test', family, new DgramIcmpSocket(opened.fd, family), identifier);
const timer = setTimeout(() => {
  throw new Error('No reply came');
}, 10_000);
const flow = shared.openFlow(destination, (from, sequence, data) => {
  process.stdout.write(`${from.length} ${sequence} ${Buffer.from(data).toString()}\n`);
  clearTimeout(timer);
  flow?.close();
  shared.close();
});
const message = new Uint8Array(13);
const fields = { type: icmpType[family].echoRequest, code: 0, identifier: 7, sequence: 99 };
writeIcmpMessage(message, 0, { ...fields, data: Buffer.from('apple') }, 0);
flow?.request(message);
