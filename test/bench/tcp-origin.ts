// The private host of the TCP benchmark, a process of its own: one port sends a bulk body to whoever connects, the other
// takes one and answers with a byte when it is whole. Forked by private-tcp.ts; sends its ports.

import { createServer, type Server, type Socket } from 'node:net';
import { writeBulk } from './bulk-body.ts';
import { bulkBytes } from './requests.ts';

export interface TcpOriginPorts {
  readonly down: number;
  readonly up: number;
}

function give(socket: Socket): void {
  socket.on('error', () => undefined).resume();
  writeBulk(socket, () => void socket.end());
}

function take(socket: Socket): void {
  let received = 0;
  socket.on('error', () => undefined);
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
    if (received === bulkBytes) socket.end('k');
  });
}

function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ noDelay: true }, onConnection);
  return new Promise((resolve, reject) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
      else reject(new Error('no port'));
    });
  });
}

const ports: TcpOriginPorts = { down: await listen(give), up: await listen(take) };
process.on('disconnect', () => process.exit(0));
process.send?.(ports);
