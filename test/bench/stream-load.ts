// Raw TCP flows of one bulk body each, as somebody with private TCP makes them: opened down the tunnel as the edge's
// on-ramps open theirs, or through a TCP proxy. The far end is tcp-origin.ts.

import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EdgeConnection, RequestHead } from '../../internal/transport/transport.ts';
import { writeBulk } from './bulk-body.ts';
import type { Done, Send } from './load.ts';
import { bulkBytes } from './requests.ts';

export type StreamKind = 'down' | 'up';

/** Slots are spread evenly over `connections`; the connector dials `port` on loopback. */
export function privateSend(kind: StreamKind, connections: readonly EdgeConnection[], port: number): Send {
  // What PrivateNetwork.openTcp asks for.
  const head: RequestHead = {
    ...{ kind: 'tcp', method: 'GET', scheme: 'https', host: `127.0.0.1:${port}`, path: '/', headers: [] },
    ...{ source: '198.18.0.1:40000', bodyLength: -1 },
  };
  return (slot, done) => {
    const connection = connections[slot % connections.length];
    if (connection === undefined) throw new Error('no connection to send on');
    const stream = connection.request(head);
    // A refusal ends the body too, which is where it is judged.
    stream.response.catch(() => undefined);
    move(kind, stream.body, done);
  };
}

/** The same through a TCP proxy on loopback. */
export function proxiedSend(kind: StreamKind, port: number): Send {
  return (_slot, done) => move(kind, connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }), done);
}

/** Down: reads the body to its end. Up: writes it and reads the one byte that says it has arrived. */
function move(kind: StreamKind, stream: Duplex, done: Done): void {
  const expected = kind === 'down' ? bulkBytes : 1;
  let received = 0;
  stream.on('data', (piece: Buffer) => {
    received += piece.length;
  });
  stream.once('end', () => stream.end());
  stream.on('error', () => undefined);
  stream.once('close', () => {
    const ok = received === expected && stream.readableEnded;
    done(ok ? bulkBytes : 0, ok);
  });
  if (kind === 'up') writeBulk(stream, () => undefined);
}
