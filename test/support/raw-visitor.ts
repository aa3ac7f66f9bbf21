// A visitor on a bare socket: sends any bytes and collects what comes back, for requests that no client library would make.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { until } from './wait.ts';

export class RawVisitor {
  readonly socket: Socket;
  /** Everything received, one byte a character. */
  text = '';
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(t: TestContext, port: number): Promise<RawVisitor> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return new RawVisitor(socket);
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Waits for text to come; fails when the connection ends without it. */
  async sees(pattern: RegExp | string): Promise<void> {
    const seen = (): boolean => (typeof pattern === 'string' ? this.text.includes(pattern) : pattern.test(this.text));
    await until(`${pattern} from the edge`, () => seen() || this.closed);
    if (!seen()) throw new Error(`The connection ended without ${pattern}:\n${this.text}`);
  }

  /** Waits until the edge closed, or one whole head came. */
  async answered(): Promise<number> {
    await until(
      'an answer or a closed connection',
      () => this.closed || this.socket.readableEnded || this.text.includes('\r\n\r\n'),
    );
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.text)?.[1] ?? 0);
  }

  /** Status codes of all answers so far. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]));
  }
}
