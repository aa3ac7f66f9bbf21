// The states of one connection of a connector, and where they lead:
//
//   idle → dialling → registering → connected → draining → stopped
//             ↑            │            │
//             └── waiting ←┴────────────┘        (every state → stopped when the connector stops or aborts)
//
// Source: docs/protocol/edge-protocol.md §4.2, §11.

import type { ConnectorConnection } from '../../transport/transport.ts';
import type { EdgeLink } from './edge-link.ts';
import type { PeerWatch } from './peer-watch.ts';

/** Registered and serving. */
export interface ConnectedState {
  readonly kind: 'connected';
  readonly link: EdgeLink;
  readonly watch: PeerWatch;
  /** Ends the connection in order, to go on over the one that took its place, or to dial anew. */
  readonly leave: () => void;
}

export type ConnectionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'dialling'; readonly abort: AbortController }
  | { readonly kind: 'registering'; readonly connection: ConnectorConnection }
  | ConnectedState
  /** `wake` ends the wait early; `unreachable`: the edge could not be reached, so news of another connection matter. */
  | { readonly kind: 'waiting'; readonly wake: () => void; readonly unreachable: boolean }
  | { readonly kind: 'draining'; readonly connection: ConnectorConnection }
  | { readonly kind: 'stopped' };
