// The datagram half of the calibration, forked by calibrate.ts in a namespace that allows ping sockets: an unprivileged
// ping socket driven by node:dgram asks loopback for echoes. Sends microseconds of CPU an echo, one figure a round.

import { createSocket } from 'node:dgram';
import { bindFd, createIcmpFd, linuxAbi, openLibC, socketType } from '../../internal/net/linux/libc.ts';

const rounds = 7;
const echoesPerRound = 8_000;
/** Node reads 32 datagrams a turn; more would overflow the socket. */
const echoesPerTurn = 25;
const address = '127.0.0.1';

const libc = await openLibC();
const opened = createIcmpFd(libc, linuxAbi, 4, socketType.datagram);
if ('errno' in opened) throw new Error(`no ping socket: ${libc.strerror(opened.errno)}`);
bindFd(libc, linuxAbi, opened.fd, new Uint8Array(4), 0);
const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
socket.bind({ fd: opened.fd });

/** An echo request with 56 bytes of data, as ping sends; the kernel fills in id and checksum. */
const request = Buffer.alloc(64);
request[0] = 8;
/** What the kernel takes for a port, and ignores. */
const anyPort = 1;

function run(count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let [sent, received] = [0, 0];
  const fill = (): void => {
    for (let index = 0; index < echoesPerTurn && sent < count; index += 1) {
      sent += 1;
      socket.send(request, anyPort, address);
    }
  };
  socket.on('message', () => {
    received += 1;
    if (received === count) resolve();
    else if (received === sent) setImmediate(fill);
  });
  fill();
  return promise.finally(() => socket.removeAllListeners('message'));
}

const figures: number[] = [];
await run(echoesPerRound);
for (let round = 0; round < rounds; round += 1) {
  const before = process.cpuUsage();
  await run(echoesPerRound);
  const { user, system } = process.cpuUsage(before);
  figures.push((user + system) / echoesPerRound);
}
socket.close();
process.send?.(figures);
process.disconnect?.();
