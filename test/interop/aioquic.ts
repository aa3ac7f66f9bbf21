// aioquic (PyPI) as a peer over JSON lines.

import type { TestContext } from 'node:test';
import { PythonPeer, pythonWith, spawnPython } from './python-peer.ts';

/** What the peer says; fields depend on `event`. */
export interface PeerEvent {
  readonly event: string;
  readonly port?: number;
  readonly stream?: number;
  readonly data?: string;
  readonly fin?: boolean;
  readonly code?: number;
  readonly reason?: string;
  readonly alpn?: string;
}

export interface PeerCommand {
  readonly op: 'open' | 'write' | 'reset' | 'stop' | 'datagram' | 'close' | 'ping';
  readonly stream?: number;
  /** Hex. */
  readonly data?: string;
  readonly fin?: boolean;
  readonly code?: number;
  readonly reason?: string;
}

export class AioquicPeer extends PythonPeer<PeerCommand, PeerEvent> {
  /** Bytes of a stream up to its FIN. */
  async readAll(stream: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      const { data, fin } = await this.next('data', stream);
      parts.push(Buffer.from(data ?? '', 'hex'));
      if (fin === true) return Buffer.concat(parts);
    }
  }
}

/** Starts the peer script with these arguments. It is ended with the test. */
export async function startAioquic(test: TestContext, args: readonly string[]): Promise<AioquicPeer> {
  return new AioquicPeer(spawnPython(test, await pythonWith('aioquic', '1.7.2'), 'aioquic-peer.py', args));
}
