// One end's answers to the other's calls: the bootstrap interface it offers, and the calls running on it.
// Source: docs/protocol/edge-protocol.md §7.3.
//
//   answer:  running ──done──▶ returned ──Finish──▶ free        running ──Finish──▶ (Return canceled) free

import { PosternError } from '../errors/error.ts';
import type { StructReader } from '../wire/capnp/capnp-reader.ts';
import type { StructWriter } from '../wire/capnp/capnp-writer.ts';
import {
  type CallTarget,
  encodeCanceled,
  encodeCapabilityResult,
  encodeException,
  encodeResults,
  type RpcMessage,
} from '../wire/rpc/rpc-message.ts';
import { maxOutstanding } from './questions.ts';

/** Writes a result struct into pointer slot 0 of the payload. */
export type WriteResults = (payload: StructWriter) => void;

/**
 * What one end offers. `params` is a view of the message: copy what must outlive the call. A PosternError with code
 * 'rpc.exception' reaches the peer with its message; any other error as a fixed text. Undefined = no such method.
 */
export type RpcService = (
  interfaceId: bigint,
  methodId: number,
  params: StructReader,
) => Promise<WriteResults> | undefined;

/** The only capability that is ever exported. */
const bootstrapExport = 0;

interface Answer {
  readonly isBootstrap: boolean;
  returned: boolean;
}

export class Answers {
  readonly #send: (bytes: Buffer) => void;
  readonly #service: RpcService | undefined;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #open = new Map<number, Answer>();
  /** How often the peer was given the bootstrap interface and has not released it. */
  #references = 0;

  constructor(
    send: (bytes: Buffer) => void,
    service: RpcService | undefined,
    onError: ((error: unknown) => void) | undefined,
  ) {
    this.#send = send;
    this.#service = service;
    this.#onError = onError;
  }

  bootstrap(questionId: number): void {
    const answer = this.#begin(questionId, this.#service !== undefined);
    answer.returned = true;
    if (this.#service === undefined) {
      this.#send(encodeException(questionId, 'no bootstrap interface is offered here', 'failed'));
      return;
    }
    this.#references += 1;
    this.#send(encodeCapabilityResult(questionId, bootstrapExport));
  }

  call(call: Extract<RpcMessage, { kind: 'call' }>): void {
    const { questionId } = call;
    const answer = this.#begin(questionId, false);
    let running: Promise<WriteResults> | undefined;
    if (!call.toCaller) {
      this.#reply(questionId, answer, 'results can only be sent to the caller', 'unimplemented');
      return;
    }
    if (this.#service === undefined || !this.#isOurs(call.target)) {
      this.#reply(questionId, answer, 'the call has no valid target', 'failed');
      return;
    }
    try {
      running = this.#service(call.interfaceId, call.methodId, call.params);
    } catch (error) {
      this.#reply(questionId, answer, this.#reasonOf(error), 'failed');
      return;
    }
    if (running === undefined) {
      this.#reply(questionId, answer, 'the method is not implemented', 'unimplemented');
      return;
    }
    running.then(
      results => this.#replyResults(questionId, answer, results),
      (error: unknown) => this.#reply(questionId, answer, this.#reasonOf(error), 'failed'),
    );
  }

  /** Throws 'protocol.malformed' when the peer never asked it. */
  finish(questionId: number, releaseResultCaps: boolean): void {
    const answer = this.#open.get(questionId);
    if (answer === undefined)
      throw new PosternError('protocol.malformed', `The peer finished question ${questionId}, which is not open`);
    this.#open.delete(questionId);
    if (!answer.returned) this.#send(encodeCanceled(questionId));
    if (answer.isBootstrap && releaseResultCaps) this.release(bootstrapExport, 1);
  }

  release(exportId: number, count: number): void {
    if (exportId === bootstrapExport) this.#references = Math.max(0, this.#references - count);
  }

  /** Forgets everything; what still runs will be answered to nobody. */
  clear(): void {
    this.#open.clear();
  }

  #begin(questionId: number, isBootstrap: boolean): Answer {
    if (this.#open.has(questionId))
      throw new PosternError('protocol.malformed', `The peer used question ${questionId} again before finishing it`);
    if (this.#open.size >= maxOutstanding)
      throw new PosternError('protocol.too-large', `The peer has more than ${maxOutstanding} questions open`);
    const answer = { isBootstrap, returned: false };
    this.#open.set(questionId, answer);
    return answer;
  }

  #isOurs(target: CallTarget | undefined): boolean {
    if (target === undefined) return false;
    if (target.kind === 'import') return target.id === bootstrapExport && this.#references > 0;
    return this.#open.get(target.questionId)?.isBootstrap === true;
  }

  #replyResults(questionId: number, answer: Answer, results: WriteResults): void {
    if (this.#open.get(questionId) !== answer) return;
    let bytes: Buffer;
    try {
      bytes = encodeResults(questionId, results);
    } catch (error) {
      bytes = encodeException(questionId, this.#reasonOf(error), 'failed');
    }
    answer.returned = true;
    this.#send(bytes);
  }

  /** Nothing is sent when the peer finished the question meanwhile, or the conversation ended. */
  #reply(questionId: number, answer: Answer, reason: string, type: 'failed' | 'unimplemented'): void {
    if (this.#open.get(questionId) !== answer) return;
    answer.returned = true;
    this.#send(encodeException(questionId, reason, type));
  }

  /** What the peer may know of an error in the service; the error itself goes to onError. */
  #reasonOf(error: unknown): string {
    if (error instanceof PosternError && error.code === 'rpc.exception') return error.message;
    this.#onError?.(error);
    const isTheirFault = error instanceof PosternError && error.kind.scope === 'protocol';
    return isTheirFault ? 'the parameters are malformed' : 'the call failed';
  }
}
