// Requests down the connections of a tunnel, as an edge sends them. Knows only the transport seam, so that it drives every
// transport alike.

import type { EdgeConnection, OutgoingStream, RequestHead } from '../../internal/transport/transport.ts';
import { writeBulk } from './bulk-body.ts';
import type { Done, Send } from './load.ts';
import type { LoadKind } from './options.ts';
import { bulkBytes, paths, visitorHeaders } from './requests.ts';

/** Slots are spread evenly over `connections`. */
export function tunnelSend(kind: LoadKind, connections: readonly EdgeConnection[]): Send {
  const head: RequestHead = {
    kind: 'http',
    method: kind === 'up' ? 'POST' : 'GET',
    scheme: 'https',
    host: 'bench.example.com',
    path: paths[kind],
    headers: kind === 'up' ? [...visitorHeaders, 'content-length', String(bulkBytes)] : visitorHeaders,
    bodyLength: kind === 'up' ? bulkBytes : 0,
  };
  return (slot, done) => {
    const connection = connections[slot % connections.length];
    if (connection === undefined) throw new Error('no connection to send on');
    const stream = connection.request(head);
    readAnswer(stream, kind === 'up', done);
    if (kind === 'up') writeBulk(stream.body, () => void stream.body.end());
  };
}

function readAnswer(stream: OutgoingStream, isUpload: boolean, done: Done): void {
  const { body } = stream;
  let received = 0;
  body.on('data', (piece: Buffer) => {
    received += piece.length;
  });
  body.once('close', () => {
    const ended = body.readableEnded;
    const finish = (status: number): void => {
      const ok = ended && status >= 200 && status < 300;
      done(isUpload && ok ? bulkBytes : received, ok);
    };
    // A short answer may be over before the promise of its head is heard of.
    stream.response.then(
      ({ status }) => finish(status),
      () => finish(0),
    );
  });
}
