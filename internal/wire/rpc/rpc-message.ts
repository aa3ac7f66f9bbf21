// The messages of Cap'n Proto's two-party RPC, as far as a conversation between connector and edge needs them; all
// others are answered with `unimplemented`. Source: docs/protocol/edge-protocol.md §7.1 (rpc.capnp), trap 6 for the
// inverted bits.
//
//   Message { u16 tag | p0 body }: 0 unimplemented, 1 abort, 2 call, 3 return, 4 finish, 6 release, 8 bootstrap

import { PosternError } from '../../errors/error.ts';
import type { CapnpMessage, StructReader } from '../capnp/capnp-reader.ts';
import { CapnpWriter, type StructWriter } from '../capnp/capnp-writer.ts';
import { encodeFrame } from '../capnp/framing.ts';

/** What a call is sent to: an exported capability by its id, or the (single) capability a question will return. */
export type CallTarget =
  | { readonly kind: 'import'; readonly id: number }
  | { readonly kind: 'answer'; readonly questionId: number };

export type ExceptionType = 'failed' | 'overloaded' | 'disconnected' | 'unimplemented';

/** One entry of a capability table: the id of what the sender hosts, undefined for any other kind. */
export interface CapDescriptor {
  readonly senderHosted: number | undefined;
}

export type ReturnBody =
  | {
      readonly kind: 'results';
      readonly content: StructReader;
      readonly capability: CapDescriptor | undefined;
      readonly capCount: number;
    }
  | { readonly kind: 'exception'; readonly reason: string; readonly type: ExceptionType }
  | { readonly kind: 'canceled' }
  | { readonly kind: 'unsupported' };

export type RpcMessage =
  | { readonly kind: 'unimplemented'; readonly questionId: number | undefined }
  | { readonly kind: 'abort'; readonly reason: string }
  | {
      readonly kind: 'call';
      readonly questionId: number;
      /** Undefined when the target is of a kind or has a transform that we never offer. */
      readonly target: CallTarget | undefined;
      readonly interfaceId: bigint;
      readonly methodId: number;
      readonly toCaller: boolean;
      readonly params: StructReader;
    }
  | {
      readonly kind: 'return';
      readonly answerId: number;
      readonly releaseParamCaps: boolean;
      readonly body: ReturnBody;
    }
  | { readonly kind: 'finish'; readonly questionId: number; readonly releaseResultCaps: boolean }
  | { readonly kind: 'release'; readonly id: number; readonly referenceCount: number }
  | { readonly kind: 'bootstrap'; readonly questionId: number }
  | { readonly kind: 'unknown'; readonly tag: number };

const tags = { unimplemented: 0, abort: 1, call: 2, return: 3, finish: 4, release: 6, bootstrap: 8 } as const;
const exceptionTypes: readonly ExceptionType[] = ['failed', 'overloaded', 'disconnected', 'unimplemented'];
/** Longest reason kept from a peer: enough for any error text, little enough for a log line. */
const maxReasonLength = 4096;
/** Most steps of a promised answer's transform that are looked at; a real peer sends none. */
const maxTransformSteps = 16;

/** Decodes one message. `params` and `content` are views of it. Throws 'protocol.malformed' and 'protocol.too-large'. */
export function decodeRpcMessage(message: CapnpMessage): RpcMessage {
  const root = message.root();
  const tag = root.uint16(0);
  switch (tag) {
    case tags.unimplemented: {
      const inner = root.struct(0);
      const asked = inner.uint16(0) === tags.call || inner.uint16(0) === tags.bootstrap;
      return { kind: 'unimplemented', questionId: asked ? inner.struct(0).uint32(0) : undefined };
    }
    case tags.abort:
      return { kind: 'abort', reason: root.struct(0).text(0).slice(0, maxReasonLength) };
    case tags.call:
      return decodeCall(root.struct(0));
    case tags.return:
      return decodeReturn(root.struct(0));
    case tags.finish: {
      const body = root.struct(0);
      return { kind: 'finish', questionId: body.uint32(0), releaseResultCaps: !body.bool(32) };
    }
    case tags.release: {
      const body = root.struct(0);
      return { kind: 'release', id: body.uint32(0), referenceCount: body.uint32(4) };
    }
    case tags.bootstrap:
      return { kind: 'bootstrap', questionId: root.struct(0).uint32(0) };
    default:
      return { kind: 'unknown', tag };
  }
}

export function encodeBootstrap(questionId: number): Buffer {
  const { writer, body } = begin(tags.bootstrap, 1, 1, 64);
  body.uint32(0, questionId);
  return writer.finish();
}

/** `params` writes the parameter struct, which it makes in the pointer slot 0 of what it is given. */
export function encodeCall(
  call: {
    readonly questionId: number;
    readonly target: CallTarget;
    readonly interfaceId: bigint;
    readonly methodId: number;
  },
  params: (payload: StructWriter) => void,
): Buffer {
  const { writer, body } = begin(tags.call, 3, 3, 512);
  body.uint32(0, call.questionId).uint16(4, call.methodId).uint64(8, call.interfaceId);
  const target = body.struct(0, 1, 1);
  if (call.target.kind === 'import') {
    target.uint32(0, call.target.id);
  } else {
    target.uint16(4, 1);
    target.struct(0, 1, 1).uint32(0, call.target.questionId).structList(0, 0, 1, 0);
  }
  const payload = body.struct(1, 0, 2);
  params(payload);
  payload.structList(1, 0, 1, 1);
  return writer.finish();
}

/** The results of a call; `content` as `params` of `encodeCall`. */
export function encodeResults(answerId: number, content: (payload: StructWriter) => void): Buffer {
  const { writer, body } = begin(tags.return, 2, 1, 256);
  body.uint32(0, answerId).bool(32, true);
  content(body.struct(0, 0, 2));
  return writer.finish();
}

/** The answer to a bootstrap: the capability that the sender hosts under `exportId`. */
export function encodeCapabilityResult(answerId: number, exportId: number): Buffer {
  return encodeResults(answerId, payload => {
    payload.capability(0, 0);
    payload.structList(1, 1, 1, 1).struct(0).uint16(0, 1).uint32(4, exportId);
  });
}

export function encodeException(answerId: number, reason: string, type: ExceptionType): Buffer {
  const { writer, body } = begin(tags.return, 2, 1, 256);
  body.uint32(0, answerId).bool(32, true).uint16(6, 1);
  body.struct(0, 1, 1).uint16(4, exceptionTypes.indexOf(type)).text(0, reason);
  return writer.finish();
}

export function encodeCanceled(answerId: number): Buffer {
  const { writer, body } = begin(tags.return, 2, 1, 64);
  body.uint32(0, answerId).bool(32, true).uint16(6, 2);
  return writer.finish();
}

export function encodeFinish(questionId: number, releaseResultCaps: boolean): Buffer {
  const { writer, body } = begin(tags.finish, 1, 0, 64);
  body.uint32(0, questionId).bool(32, !releaseResultCaps);
  return writer.finish();
}

export function encodeRelease(id: number, referenceCount: number): Buffer {
  const { writer, body } = begin(tags.release, 1, 0, 64);
  body.uint32(0, id).uint32(4, referenceCount);
  return writer.finish();
}

export function encodeAbort(reason: string): Buffer {
  const { writer, body } = begin(tags.abort, 1, 1, 128);
  body.text(0, reason);
  return writer.finish();
}

/**
 * The answer to a message that is not understood: the message itself inside `unimplemented`. The wrapper is appended to
 * the first segment, so that every pointer of the message, also far ones, stays right as it is.
 */
export function encodeUnimplemented(message: CapnpMessage): Buffer {
  const original = message.segments[0];
  if (original === undefined) throw new PosternError('internal', 'A message has no segment to echo');
  const end = original.length;
  const segment = Buffer.alloc(end + 16);
  original.copy(segment);
  // Root → wrapper (one data word with tag 0, one pointer); the wrapper's pointer → the original root.
  segment.writeInt32LE(((end - 8) / 8) << 2, 0);
  segment.writeUInt32LE(1 | (1 << 16), 4);
  const low = original.readInt32LE(0);
  const relative = (low & 3) === 0 && (low !== 0 || original.readInt32LE(4) !== 0);
  segment.writeInt32LE(relative ? (((low >> 2) * 8 + 8 - (end + 16)) / 8) << 2 : low, end + 8);
  original.copy(segment, end + 12, 4, 8);
  return encodeFrame([segment, ...message.segments.slice(1)]);
}

function begin(
  tag: number,
  dataWords: number,
  pointers: number,
  sizeBytes: number,
): { writer: CapnpWriter; body: StructWriter } {
  const writer = new CapnpWriter(sizeBytes);
  const body = writer.root(1, 1).uint16(0, tag).struct(0, dataWords, pointers);
  return { writer, body };
}

function decodeCall(body: StructReader): RpcMessage {
  return {
    kind: 'call',
    questionId: body.uint32(0),
    target: decodeTarget(body.struct(0)),
    interfaceId: body.uint64(8),
    methodId: body.uint16(4),
    toCaller: body.uint16(6) === 0,
    params: body.struct(1).struct(0),
  };
}

function decodeTarget(target: StructReader): CallTarget | undefined {
  const tag = target.uint16(4);
  if (tag === 0) return { kind: 'import', id: target.uint32(0) };
  if (tag !== 1) return undefined;
  const answer = target.struct(0);
  const steps = answer.list(0);
  if (steps.length > maxTransformSteps) return undefined;
  for (let index = 0; index < steps.length; index += 1) if (steps.struct(index).uint16(0) !== 0) return undefined;
  return { kind: 'answer', questionId: answer.uint32(0) };
}

function decodeReturn(body: StructReader): RpcMessage {
  return {
    kind: 'return',
    answerId: body.uint32(0),
    releaseParamCaps: !body.bool(32),
    body: decodeReturnBody(body),
  };
}

function decodeReturnBody(body: StructReader): ReturnBody {
  switch (body.uint16(6)) {
    case 0: {
      const payload = body.struct(0);
      const capTable = payload.list(1);
      const index = payload.capability(0);
      if (index === undefined)
        return { kind: 'results', content: payload.struct(0), capability: undefined, capCount: capTable.length };
      const entry = index < capTable.length ? capTable.struct(index) : undefined;
      const senderHosted = entry !== undefined && entry.uint16(0) === 1 ? entry.uint32(4) : undefined;
      return { kind: 'results', content: payload, capability: { senderHosted }, capCount: capTable.length };
    }
    case 1: {
      const exception = body.struct(0);
      return {
        kind: 'exception',
        reason: exception.text(0).slice(0, maxReasonLength),
        type: exceptionTypes[exception.uint16(4)] ?? 'failed',
      };
    }
    case 2:
      return { kind: 'canceled' };
    default:
      return { kind: 'unsupported' };
  }
}
