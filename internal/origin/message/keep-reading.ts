// A socket whose peer takes no more bytes stays readable. Node destroys a socket at the first write that fails, and with it
// what the peer had said before it closed; an origin that refuses an upload (413) and closes says so exactly then.
// Source: RFC 9112 §9.6 (a client should look at the answer before it reports a failed write).

import type { Socket } from 'node:net';

type WriteDone = (error?: Error | null) => void;

/**
 * From here on failed writes on `socket` are told to `onBroken`, once, and pass for done; reading goes on until its own
 * end. `restoreWrites` takes it back. Node hands every write the same callback, so that none is made a write.
 */
export function keepReading(socket: Socket, onBroken: (error: Error) => void): void {
  const { _write, _writev } = socket;
  let broken = false;
  let wrapped: { readonly done: WriteDone; readonly forgiving: WriteDone } | undefined;
  const forgive = (done: WriteDone): WriteDone => {
    if (wrapped?.done !== done) {
      const forgiving = (error?: Error | null): void => {
        done();
        if (!error || broken) return;
        broken = true;
        onBroken(error);
      };
      wrapped = { done, forgiving };
    }
    return wrapped.forgiving;
  };
  socket._write = (chunk, encoding, done) => {
    if (broken) done();
    else _write.call(socket, chunk, encoding, forgive(done));
  };
  socket._writev = (chunks, done) => {
    if (broken) done();
    else _writev?.call(socket, chunks, forgive(done));
  };
}

/** Undoes `keepReading`: a failed write destroys the socket again. */
export function restoreWrites(socket: Socket): void {
  // The prototype's methods show through again.
  Reflect.deleteProperty(socket, '_write');
  Reflect.deleteProperty(socket, '_writev');
}
