// One Cap'n Proto RPC conversation over one stream: either end may call the other's bootstrap interface. No capability
// beside the bootstrap ones is ever passed, so there are no promises to resolve and nothing to disembargo.
// Source: docs/protocol/edge-protocol.md §7. Which interfaces there are is not known here.
//
//   open ──close()──▶ ended (Release, Abort "rpc: shutdown", end of stream)
//   open ──Abort, end or error of the stream, broken rule──▶ ended

import type { Duplex } from 'node:stream';
import { PosternError } from '../errors/error.ts';
import type { CapnpMessage, StructReader } from '../wire/capnp/capnp-reader.ts';
import type { StructWriter } from '../wire/capnp/capnp-writer.ts';
import { FrameReader } from '../wire/capnp/framing.ts';
import { decodeRpcMessage, encodeAbort, encodeUnimplemented } from '../wire/rpc/rpc-message.ts';
import { Answers, type RpcService } from './answers.ts';
import { Questions, type RpcMethod } from './questions.ts';

export interface RpcSessionOptions {
  /** Served as the bootstrap interface; without it a peer's bootstrap is answered with an exception. */
  readonly service?: RpcService | undefined;
  /** Largest message accepted. Default 1 MiB: a configuration is the largest thing sent, some 100 KiB at the most. */
  readonly maxMessageBytes?: number | undefined;
  /** Told of what the service threw and the peer is not told. */
  readonly onServiceError?: ((error: unknown) => void) | undefined;
}

const defaultMaxMessageBytes = 1 << 20;
/** How long the stream may take to end after the conversation did, before it is destroyed. */
const lingerMs = 5000;
/** The reason with which cloudflared ends a conversation in order. */
const shutdownReason = 'rpc: shutdown';

export class RpcSession {
  /** Settles when the conversation is over, without an error when either end said so. Never rejects. */
  readonly closed: Promise<PosternError | undefined>;

  readonly #stream: Duplex;
  readonly #frames: FrameReader;
  readonly #questions: Questions;
  readonly #answers: Answers;
  readonly #read: () => void;
  #ended = false;
  #resolveClosed: (error: PosternError | undefined) => void;

  /** Takes the stream over: it is read, written and in the end closed here. */
  constructor(stream: Duplex, options: RpcSessionOptions = {}) {
    const send = (bytes: Buffer): void => {
      if (!stream.writableEnded && !stream.destroyed) stream.write(bytes);
    };
    this.#stream = stream;
    this.#frames = new FrameReader(options.maxMessageBytes ?? defaultMaxMessageBytes);
    this.#questions = new Questions(send);
    this.#answers = new Answers(send, options.service, options.onServiceError);
    const { promise, resolve } = Promise.withResolvers<PosternError | undefined>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#read = () => this.#takeAll();
    stream.on('error', error => this.#end(lostBy(error)));
    stream.on('close', () => this.#end(new PosternError('connection.lost', 'The RPC stream was closed')));
    stream.on('end', () => this.#end(new PosternError('connection.lost', 'The peer ended the RPC stream')));
    stream.on('drain', this.#read);
    stream.on('readable', this.#read);
  }

  /**
   * Calls a method of the peer's bootstrap interface, which is asked for with the first call. `params` writes the
   * parameter struct into pointer slot 0; `decode` reads the results. Rejects with 'rpc.timeout', 'rpc.exception' (the
   * peer's text is in the message), 'rpc.aborted', 'connection.lost', 'connection.closed' (closed here), 'unavailable'
   * (too many calls unanswered) and what `params` and `decode` throw.
   */
  call<T>(
    method: RpcMethod,
    params: (payload: StructWriter) => void,
    decode: (results: StructReader) => T,
    timeoutMs: number,
  ): Promise<T> {
    return this.#questions.call(method, params, decode, timeoutMs);
  }

  /** Ends the conversation in order; calls in flight reject with 'connection.closed'. Idempotent. */
  close(): void {
    if (!this.#ended) this.#questions.release();
    this.#end(undefined, shutdownReason);
  }

  #end(error: PosternError | undefined, goodbye?: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const stream = this.#stream;
    if (!stream.writableEnded && !stream.destroyed) {
      if (goodbye !== undefined) stream.write(encodeAbort(goodbye));
      stream.end();
    }
    // What the peer still sends is read and dropped, so that the stream can end.
    stream.off('readable', this.#read);
    stream.off('drain', this.#read);
    stream.resume();
    if (!stream.closed) {
      const timer = setTimeout(() => stream.destroy(), lingerMs);
      timer.unref();
      stream.once('close', () => clearTimeout(timer));
    }
    this.#answers.clear();
    this.#questions.fail(error ?? new PosternError('connection.closed', 'The RPC conversation is over'));
    this.#resolveClosed(error);
  }

  /** Takes messages while there are any, and while the peer reads what we answer. */
  #takeAll(): void {
    try {
      while (!this.#ended && !this.#stream.writableNeedDrain) {
        const message = this.#frames.next();
        if (message !== undefined) {
          this.#take(message);
          continue;
        }
        const chunk: unknown = this.#stream.read();
        if (!(chunk instanceof Uint8Array)) return;
        this.#frames.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk));
      }
    } catch (error) {
      const broken =
        error instanceof PosternError
          ? error
          : new PosternError('internal', 'Taking an RPC message failed', { cause: error });
      this.#end(broken, broken.code);
    }
  }

  #take(raw: CapnpMessage): void {
    const message = decodeRpcMessage(raw);
    switch (message.kind) {
      case 'bootstrap':
        this.#answers.bootstrap(message.questionId);
        break;
      case 'call':
        this.#answers.call(message);
        break;
      case 'return':
        this.#questions.takeReturn(message.answerId, message.body);
        break;
      case 'finish':
        this.#answers.finish(message.questionId, message.releaseResultCaps);
        break;
      case 'release':
        this.#answers.release(message.id, message.referenceCount);
        break;
      case 'abort':
        this.#end(message.reason === shutdownReason ? undefined : abortedBy(message.reason));
        break;
      case 'unimplemented':
        if (message.questionId !== undefined)
          this.#questions.takeReturn(message.questionId, {
            kind: 'exception',
            reason: 'the peer does not implement calls',
            type: 'unimplemented',
          });
        break;
      case 'unknown':
        if (!this.#stream.writableEnded) this.#stream.write(encodeUnimplemented(raw));
        break;
    }
  }
}

function abortedBy(reason: string): PosternError {
  return new PosternError('rpc.aborted', `The peer aborted the RPC conversation: ${reason}`);
}

function lostBy(error: unknown): PosternError {
  if (error instanceof PosternError) return error;
  return new PosternError('connection.lost', 'The RPC stream failed', { cause: error });
}
