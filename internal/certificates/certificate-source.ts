// Where the edge's certificates come from: its own CA, or files given.

import type { NameCertificates } from './name-certificates.ts';

/** Key and chain of one listener, PEM; the chain ends with the CA's certificate, so a pinned client needs no file. */
export interface TlsPair {
  readonly key: string;
  readonly cert: string;
}

export interface Loaded {
  readonly caPem: string;
  readonly tls: TlsPair;
  readonly visitorTls: TlsPair;
}

export interface Source {
  readonly byName: NameCertificates | undefined;
  load(): Promise<Loaded>;
  /** Whether `load` would give something newer. */
  isDue(): Promise<boolean>;
}
