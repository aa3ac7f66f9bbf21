// Listening on TCP, for every server of the program. Source: net(7), accept(2) (errors that end nothing).

import type { AddressInfo, Server } from 'node:net';
import { foreignCode, PosternError } from '../../errors/error.ts';
import { formatHostPort } from '../address/host-port.ts';
import { isLocalName } from '../address/lookup-host.ts';
import { boundUnsent } from './bound-unsent.ts';

/**
 * Settles with the port once the server listens, with the kernel's queue for its slow readers bounded; rejects with the
 * system's error. Later errors are connections that could not be accepted (no memory, no descriptors, a firewall): they
 * concern no other, and unheard they would end the process.
 */
export async function listenTcp(server: Server, host: string, port: number): Promise<number> {
  try {
    return await listenOn(server, host, port);
  } catch (error) {
    if (!isLocalName(host) || !isUnresolved(error)) throw error;
    return listenOn(server, '127.0.0.1', port);
  }
}

function isUnresolved(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'getaddrinfo';
}

function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      server.off('error', fail);
      reject(error);
    };
    server.on('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail).on('error', () => undefined);
      const { port: bound } = server.address() as AddressInfo;
      void boundUnsent(server).then(() => resolve(bound));
    });
  });
}

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it; choose another port',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** What a listener that cannot listen throws. `what`: whom it is for, `connectors`. */
export function listenFailed(what: string, host: string, port: number, error: unknown): PosternError {
  const reason = foreignCode(error) ?? (error instanceof Error ? error.message : String(error));
  const needsRight = reason === 'EACCES' && port < 1024;
  const remedy = needsRight
    ? 'ports below 1024 need root, the capability CAP_NET_BIND_SERVICE, or a lower net.ipv4.ip_unprivileged_port_start'
    : (remedies[reason] ?? 'choose another address or port');
  return new PosternError(
    'listen.failed',
    `Cannot listen for ${what} on ${formatHostPort(host, port)} (${reason}): ${remedy}.`,
    {
      cause: error,
    },
  );
}
