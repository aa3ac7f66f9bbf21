// One end's calls of the other's bootstrap interface: question ids, deadlines, and the hold on that interface.
// Source: docs/protocol/edge-protocol.md §7.3. Calls made before the bootstrap is answered are pipelined on it.
//
//   question:   waiting ──Return──▶ (Finish sent) free        waiting ──deadline──▶ (Finish sent) given up ──Return──▶ free
//   bootstrap:  none ──first call──▶ asked ──Return──▶ held | failed

import { PosternError } from '../errors/error.ts';
import type { StructReader } from '../wire/capnp/capnp-reader.ts';
import type { StructWriter } from '../wire/capnp/capnp-writer.ts';
import { encodeBootstrap, encodeCall, encodeFinish, encodeRelease, type ReturnBody } from '../wire/rpc/rpc-message.ts';

/** A method of the peer; `name` is only for messages. */
export interface RpcMethod {
  readonly interfaceId: bigint;
  readonly methodId: number;
  readonly name: string;
}

/** Calls that may be unanswered at once, in either direction; real peers have at most three. */
export const maxOutstanding = 64;

type Outcome = ReturnBody | PosternError;

interface Question {
  /** False once given up: Finish is sent and nobody waits, but the id stays taken until the Return comes. */
  waiting: boolean;
  readonly settle: (outcome: Outcome) => void;
}

type Bootstrap =
  | { readonly state: 'none' }
  | { readonly state: 'asked'; readonly questionId: number }
  | { readonly state: 'held'; readonly importId: number }
  | { readonly state: 'failed'; readonly error: PosternError };

export class Questions {
  readonly #send: (bytes: Buffer) => void;
  readonly #open = new Map<number, Question>();
  /** Ids given back; the one freed last is used first, as cloudflared does. */
  readonly #free: number[] = [];
  #nextId = 0;
  #bootstrap: Bootstrap = { state: 'none' };

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send;
  }

  /** As RpcSession.call. */
  call<T>(
    method: RpcMethod,
    params: (payload: StructWriter) => void,
    decode: (results: StructReader) => T,
    timeoutMs: number,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const bootstrap = this.#askBootstrap();
    if (bootstrap.state === 'failed') return Promise.reject(bootstrap.error);
    if (this.#open.size >= maxOutstanding)
      return Promise.reject(new PosternError('unavailable', `${maxOutstanding} RPC calls are unanswered already`));
    const target =
      bootstrap.state === 'held'
        ? ({ kind: 'import', id: bootstrap.importId } as const)
        : ({ kind: 'answer', questionId: bootstrap.questionId } as const);
    const questionId = this.#takeId();
    let bytes: Buffer;
    try {
      bytes = encodeCall({ questionId, target, interfaceId: method.interfaceId, methodId: method.methodId }, params);
    } catch (error) {
      this.#free.push(questionId);
      return Promise.reject(error);
    }
    const timer = setTimeout(() => {
      this.#giveUp(questionId, new PosternError('rpc.timeout', `${method.name} was not answered in ${timeoutMs} ms`));
    }, timeoutMs);
    this.#open.set(questionId, {
      waiting: true,
      settle: outcome => {
        clearTimeout(timer);
        try {
          resolve(decode(resultsOf(outcome, method.name)));
        } catch (error) {
          reject(error);
        }
      },
    });
    this.#send(bytes);
    return promise;
  }

  /** Takes the answer to one of our questions. Throws 'protocol.malformed' when it was never asked. */
  takeReturn(questionId: number, body: ReturnBody): void {
    const question = this.#open.get(questionId);
    if (question === undefined)
      throw new PosternError('protocol.malformed', `The peer answered question ${questionId}, which is not open`);
    this.#open.delete(questionId);
    this.#free.push(questionId);
    if (!question.waiting) return;
    // Only the bootstrap's capability is kept; any other, which no method of ours returns, is released at once.
    const isBootstrap = this.#bootstrap.state === 'asked' && this.#bootstrap.questionId === questionId;
    this.#send(encodeFinish(questionId, body.kind !== 'results' || (body.capCount > 0 && !isBootstrap)));
    question.settle(body);
  }

  /** Gives the peer's interface back, if it is held. */
  release(): void {
    if (this.#bootstrap.state === 'held') this.#send(encodeRelease(this.#bootstrap.importId, 1));
  }

  /** Settles all that wait with `error`; nothing is sent. */
  fail(error: PosternError): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    this.#bootstrap = { state: 'failed', error };
    for (const question of open) if (question.waiting) question.settle(error);
  }

  #askBootstrap(): Exclude<Bootstrap, { state: 'none' }> {
    if (this.#bootstrap.state !== 'none') return this.#bootstrap;
    const questionId = this.#takeId();
    const asked = { state: 'asked', questionId } as const;
    this.#bootstrap = asked;
    this.#open.set(questionId, {
      waiting: true,
      settle: outcome => {
        this.#bootstrap = bootstrapOf(outcome);
      },
    });
    this.#send(encodeBootstrap(questionId));
    return asked;
  }

  #giveUp(questionId: number, error: PosternError): void {
    const question = this.#open.get(questionId);
    if (question === undefined || !question.waiting) return;
    question.waiting = false;
    this.#send(encodeFinish(questionId, true));
    question.settle(error);
  }

  #takeId(): number {
    const id = this.#free.pop();
    if (id !== undefined) return id;
    this.#nextId += 1;
    return this.#nextId - 1;
  }
}

function bootstrapOf(outcome: Outcome): Bootstrap {
  try {
    resultsOf(outcome, 'bootstrap');
    const importId = 'kind' in outcome && outcome.kind === 'results' ? outcome.capability?.senderHosted : undefined;
    if (importId !== undefined) return { state: 'held', importId };
    throw new PosternError('protocol.malformed', 'The answer to a bootstrap holds no capability of the peer');
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    return { state: 'failed', error };
  }
}

/** The results struct of a Return, or the error that another kind of Return means. */
function resultsOf(outcome: Outcome, name: string): StructReader {
  if (outcome instanceof PosternError) throw outcome;
  switch (outcome.kind) {
    case 'results':
      return outcome.content;
    case 'exception':
      throw new PosternError('rpc.exception', `${name}: ${outcome.reason}`, { details: { type: outcome.type } });
    case 'canceled':
      throw new PosternError('rpc.exception', `${name}: the peer canceled the call`);
    case 'unsupported':
      throw new PosternError('protocol.malformed', `${name}: the peer sent its results elsewhere`);
  }
}
