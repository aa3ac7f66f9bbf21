// Listening on TCP, for every server of the program. Source: net(7), accept(2) (errors that end nothing).

import type { AddressInfo, Server } from 'node:net';

/**
 * Settles with the port once the server listens; rejects with the system's error. Later errors are connections that could
 * not be accepted (no memory, no descriptors, a firewall): they concern no other, and unheard they would end the process.
 */
export function listenTcp(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      server.off('error', fail);
      reject(error);
    };
    server.on('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail).on('error', () => undefined);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
