// What can carry a request to an origin: a connector's connection, or a stream into a private network that the edge speaks
// HTTP on itself.

import type { OutgoingStream, RequestHead } from '../transport/transport.ts';

export interface Carrier {
  /** Opens a request stream. Throws 'connection.closed' when it takes none any more, 'flow.limit' when too many wait. */
  request(head: RequestHead): OutgoingStream;
}
