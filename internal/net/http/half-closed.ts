// Clients that end their half of a connection once they have asked, as `nc` does, and wait for the answer. Node's HTTP server
// drops their requests, unless the answer happens to be there already.

import type { Server } from 'node:http';

/** Lets `server` answer such clients; it ends the connection after the last answer. */
export function answerHalfClosed(server: Pick<Server, 'listen'>): void {
  // Not in Node's documentation or types, but in its server since the first versions.
  Object.assign(server, { httpAllowHalfOpen: true });
}
