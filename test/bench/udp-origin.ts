// The UDP origin of the benchmark, a process of its own: echoes, and tells its port.

import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
socket.on('message', (payload, { address, port }) => socket.send(payload, port, address));
socket.bind(0, '127.0.0.1', () => process.send?.((socket.address() as AddressInfo).port));
process.on('disconnect', () => socket.close());
