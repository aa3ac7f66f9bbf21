// Who is measured: our edge and connector, and others that carry the same load between the same visitors and origins.

import type { LoadKind } from './options.ts';

/** What a process of a contender does; a reverse proxy is both ends in one. */
export type Role = 'edge' | 'connector' | 'proxy';

/** How the load enters, on loopback. `socks`: by SOCKS5 to `tcpPort` on loopback as the connector sees it. */
export type Target =
  | { readonly via: 'http1' | 'http2' | 'tcp'; readonly port: number }
  | { readonly via: 'socks'; readonly port: number; readonly tcpPort: number };

export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly processes: readonly { readonly role: Role; readonly pid: number }[];
  /** Undefined for what it cannot carry. */
  target(kind: LoadKind): Target | undefined;
  /** Milliseconds from the start of a further connector to its first registration; undefined where that says nothing. */
  readonly measureStart?: () => Promise<number>;
}

/** Ports on loopback of what is published. */
export interface OriginPorts {
  /** Serves `/small.txt` and `/bulk.bin`. */
  readonly http: number;
  /** Takes uploads at `/sink`. */
  readonly sink: number;
  /** Sends a bulk body to whoever connects. */
  readonly tcpDown: number;
  /** Takes a bulk body and answers with a byte. */
  readonly tcpUp: number;
}

/** The host name under which the origins are published. */
export const publishedHost = 'bench.localhost';
