// Plays one side of an RPC conversation by hand over a stream: sends given bytes and reads framed messages, so that
// tests can put recorded bytes, or wrong ones, in front of our other side.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { FrameReader } from '../../internal/wire/capnp/framing.ts';
import { decodeRpcMessage, type RpcMessage } from '../../internal/wire/rpc/rpc-message.ts';

export class RpcPlayer {
  /** The end for the code under test. */
  readonly stream: Duplex;
  readonly #own: Duplex;
  readonly #frames = new FrameReader(1 << 20);

  constructor() {
    const [own, stream] = duplexPair();
    this.#own = own;
    this.stream = stream;
  }

  send(bytes: Uint8Array): void {
    this.#own.write(bytes);
  }

  /** No more bytes will come from this side. */
  end(): void {
    this.#own.end();
  }

  /** The next message of the other side. */
  async next(): Promise<RpcMessage> {
    for (;;) {
      const message = this.#frames.next();
      if (message !== undefined) return decodeRpcMessage(message);
      const chunk: unknown = this.#own.read();
      if (Buffer.isBuffer(chunk)) this.#frames.push(chunk);
      else if (this.#own.readableEnded) throw new Error('The other side ended its stream');
      else await Promise.race([once(this.#own, 'readable'), once(this.#own, 'end')]);
    }
  }

  async expect<K extends RpcMessage['kind']>(kind: K): Promise<Extract<RpcMessage, { kind: K }>> {
    const message = await this.next();
    assert.equal(message.kind, kind);
    return message as Extract<RpcMessage, { kind: K }>;
  }

  /** Asserts that the other side sends nothing more and ends its stream. */
  async expectEnd(): Promise<void> {
    assert.equal(this.#frames.pendingBytes, 0);
    while (!this.#own.readableEnded) {
      assert.equal(this.#own.read(), null, 'nothing more should come');
      if (!this.#own.readableEnded) await Promise.race([once(this.#own, 'readable'), once(this.#own, 'end')]);
    }
  }

  /** Gives everything up. */
  destroy(): void {
    this.#own.destroy();
    this.stream.destroy();
  }
}

/** Cuts bytes into the messages they hold. */
export function splitMessages(bytes: Buffer): RpcMessage[] {
  const frames = new FrameReader(1 << 20);
  frames.push(bytes);
  const messages: RpcMessage[] = [];
  for (let message = frames.next(); message !== undefined; message = frames.next())
    messages.push(decodeRpcMessage(message));
  assert.equal(frames.pendingBytes, 0, 'bytes left over behind the last message');
  return messages;
}
