// How commands of the same user talk to a connector that runs: a Unix socket, which only its owner can open, in a private
// directory. One line of JSON asks, one answers, and the connection ends.

import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { describeError, foreignCode, PosternError } from '../errors/error.ts';

/** A question is a few words. */
const maxQuestionBytes = 4_096;
/** A configuration of a hundred thousand rules. */
const maxAnswerBytes = 64 << 20;
/** For the question, once connected. */
const questionTimeoutMs = 5_000;
const maxConnections = 16;

/**
 * Listens at `path`, in a directory that only this user may enter, until disposed. Rejects with 'listen.failed'.
 * @param answer what a question (parsed JSON, of any shape) is answered with; what it throws is told to whoever asks
 */
export async function openControlSocket(
  path: string,
  answer: (question: unknown) => Promise<unknown>,
): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Whoever asked may be gone before the answer.
    socket.on('error', () => undefined);
    socket.setTimeout(questionTimeoutMs, () => socket.destroy());
    serve(socket, answer).catch(() => socket.destroy());
  });
  server.maxConnections = maxConnections;
  try {
    // What a process of the same number left behind.
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, 'listening');
  } catch (error) {
    throw new PosternError('listen.failed', `Cannot listen for commands at ${path}: ${foreignCode(error) ?? error}`, {
      cause: error,
    });
  }
  server.unref();
  server.on('error', () => undefined);
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(socket: Socket, answer: (question: unknown) => Promise<unknown>): Promise<void> {
  const question = await readLine(socket, maxQuestionBytes);
  socket.setTimeout(0);
  const text = await answer(JSON.parse(question)).then(
    result => JSON.stringify({ result }),
    (error: unknown) => JSON.stringify({ error: describeError(error) }),
  );
  socket.setTimeout(questionTimeoutMs, () => socket.destroy());
  socket.end(`${text}\n`);
}

/** One answer. Rejects with 'health.failed' when nobody answers within `timeoutMs`, or with what the connector says. */
export async function askControlSocket(path: string, question: object, timeoutMs: number): Promise<unknown> {
  const socket = connect(path);
  const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)), timeoutMs);
  try {
    await once(socket, 'connect');
    socket.end(`${JSON.stringify(question)}\n`);
    const answer = JSON.parse(await readLine(socket, maxAnswerBytes)) as { result?: unknown; error?: unknown };
    if (typeof answer.error === 'string') throw new PosternError('health.failed', answer.error);
    return answer.result;
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw new PosternError('health.failed', `The connector at ${path} does not answer`, { cause: error });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** Up to the first newline, or the end. Not by iteration, which would destroy the socket that is still to be answered. */
function readLine(socket: Socket, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    const finish = (): void => resolve(Buffer.concat(pieces).toString());
    socket.on('data', (piece: Buffer) => {
      const end = piece.indexOf(10);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      bytes += piece.byteLength;
      if (end >= 0) finish();
      else if (bytes > maxBytes)
        reject(new PosternError('protocol.too-large', `A line of more than ${maxBytes} bytes`));
    });
    socket.once('end', finish);
    socket.once('error', reject);
    socket.once('close', () => reject(new PosternError('connection.closed', 'The other side closed the socket')));
  });
}
