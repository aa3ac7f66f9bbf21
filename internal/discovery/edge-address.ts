// One address of an edge node, and parsing of what a user writes for it (`host:port`, `[v6]:port`).
// Source: docs/protocol/edge-protocol.md §2.1, §2.2.

import { isIP } from 'node:net';
import { PosternError } from '../errors/error.ts';
import { formatHostPort, type HostPort, parseHostPort } from '../net/address/host-port.ts';

export type IpFamily = 4 | 6;

/** Reached by TCP and by UDP on the same port number. An IPv4-mapped IPv6 address counts as family 4. */
export interface EdgeAddress {
  /** A host name instead where a forward proxy resolves it. */
  readonly ip: string;
  readonly port: number;
  readonly family: IpFamily;
}

/** The addresses of both regions; a static list is dealt alternately. */
export type EdgeRegions = readonly [readonly EdgeAddress[], readonly EdgeAddress[]];

/** `ip` must be a valid address; `::ffff:a.b.c.d` becomes its IPv4 form. */
export function createEdgeAddress(ip: string, port: number): EdgeAddress {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  const plain = mapped ?? ip;
  return { ip: plain, port, family: isIP(plain) === 6 ? 6 : 4 };
}

/** `1.2.3.4:7844` or `[::1]:7844`, for logs and as a key. */
export function formatEdgeAddress(address: EdgeAddress): string {
  return formatHostPort(address.ip, address.port);
}

/** Throws 'config.invalid' for anything that is not `host:port` with a port from 1 to 65535. */
export function parseEdgeTarget(text: string): HostPort {
  const target = parseHostPort(text.trim());
  if (target === undefined) {
    throw new PosternError(
      'config.invalid',
      `Edge address "${text}" is not valid: write host:port, such as edge.example.com:7844`,
    );
  }
  return target;
}
