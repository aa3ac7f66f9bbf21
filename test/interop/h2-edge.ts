// Python's h2 (PyPI) in the edge's role towards our connector: the HTTP/2 of another make, with our own codec for the
// registration on the control stream only.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { serveRegistration } from '../../internal/rpc/registration-server.ts';
import { controlRequest } from '../../internal/transport/http2/head.ts';
import type { TestCa } from '../support/test-ca.ts';
import { within } from '../support/wait.ts';
import { PythonPeer, pythonWith, spawnPython } from './python-peer.ts';

interface EdgeEvent {
  readonly event: string;
  readonly port?: number;
  readonly stream?: number;
  readonly opened?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly values?: Readonly<Record<string, number>>;
  /** Hex. */
  readonly data?: string;
  readonly code?: number;
  readonly reason?: string;
}

type EdgeCommand =
  | { readonly op: 'open'; readonly headers: readonly (readonly [string, string])[]; readonly fin: boolean }
  | { readonly op: 'write'; readonly stream: number; readonly data: string; readonly fin: boolean }
  | { readonly op: 'reset'; readonly stream: number; readonly code: number }
  | { readonly op: 'settings'; readonly values: Readonly<Record<string, number>> }
  | { readonly op: 'goaway'; readonly last: number };

export interface H2Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Identifiers of SETTINGS (RFC 9113 §6.5.2). */
export const setting = { headerTableSize: 1, initialWindowSize: 4, maxFrameSize: 5, maxHeaderListSize: 6 } as const;

export class H2Edge {
  readonly port: number;
  readonly peer: PythonPeer<EdgeCommand, EdgeEvent>;

  private constructor(peer: PythonPeer<EdgeCommand, EdgeEvent>, port: number) {
    this.peer = peer;
    this.port = port;
  }

  /** Listens for a connector. `settings` are those of the connection's preface, by identifier. */
  static async open(t: TestContext, ca: TestCa, settings: Readonly<Record<number, number>> = {}): Promise<H2Edge> {
    const folder = mkdtempSync(join(tmpdir(), 'postern-interop-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const { cert, key } = await ca.issue(['h2.cftunnel.com']);
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certFile, cert, { mode: 0o600 });
    writeFileSync(keyFile, key, { mode: 0o600 });
    const python = await pythonWith('h2', '4.4.1');
    const child = spawnPython(t, python, 'h2-edge.py', [certFile, keyFile, JSON.stringify(settings)]);
    const peer = new PythonPeer<EdgeCommand, EdgeEvent>(child);
    const { port = 0 } = await within('the edge to listen', peer.next('listening'));
    return new H2Edge(peer, port);
  }

  /** Waits for the next connection and its registration; returns what the connector announced. */
  async register(): Promise<Readonly<Record<string, number>>> {
    await within('a connection', this.peer.next('connected'));
    const { values = {} } = await within('settings', this.peer.next('settings'));
    const pairs = Array.from({ length: controlRequest.length / 2 }, (_, index) => index * 2);
    const headers = pairs.map(index => [controlRequest[index] ?? '', controlRequest[index + 1] ?? ''] as const);
    const control = new ControlStream(this.peer, await this.open(headers, false));
    const registered = Promise.withResolvers<void>();
    serveRegistration(control, {
      register: () => {
        registered.resolve();
        return Promise.resolve({
          details: { uuid: randomUUID(), locationName: 'tst01', tunnelIsRemotelyManaged: false },
        });
      },
      updateLocalConfiguration: () => Promise.resolve(),
      unregister: () => Promise.resolve(),
    });
    await within('a registration', registered.promise);
    return values;
  }

  /** Opens a stream; its id. */
  async open(headers: readonly (readonly [string, string])[], fin: boolean): Promise<number> {
    this.peer.tell({ op: 'open', headers, fin });
    return (await within('a stream', this.peer.next('opened'))).opened ?? 0;
  }

  /** Sends a GET for `path` with more fields; the id of its stream. */
  get(path: string, fields: readonly (readonly [string, string])[] = [], authority = 'app.test'): Promise<number> {
    const pseudo = [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', authority],
      [':path', path],
    ] as const;
    return this.open([...pseudo, ...fields], true);
  }

  async answer(stream: number): Promise<H2Answer> {
    const { headers = [] } = await within('an answer', this.peer.next('response', stream));
    return { status: Number(headers.find(([name]) => name === ':status')?.[1]), headers: Object.fromEntries(headers) };
  }

  /** The body of an answer up to its end. */
  async body(stream: number): Promise<Buffer> {
    await within('the end of an answer', this.peer.next('end', stream));
    const parts: Buffer[] = [];
    for (let part = this.peer.taken('data', stream); part !== undefined; part = this.peer.taken('data', stream))
      parts.push(Buffer.from(part.data ?? '', 'hex'));
    return Buffer.concat(parts);
  }
}

class ControlStream extends Duplex {
  readonly #peer: PythonPeer<EdgeCommand, EdgeEvent>;
  readonly #stream: number;

  constructor(peer: PythonPeer<EdgeCommand, EdgeEvent>, stream: number) {
    super();
    this.#peer = peer;
    this.#stream = stream;
    this.on('error', () => undefined);
    void this.#pump();
  }

  override _read(): void {
    // Everything is pushed as it comes: a registration is small.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#peer.tell({ op: 'write', stream: this.#stream, data: chunk.toString('hex'), fin: false });
    callback();
  }

  async #pump(): Promise<void> {
    try {
      while (!this.destroyed) {
        const { data = '' } = await this.#peer.next('data', this.#stream);
        this.push(Buffer.from(data, 'hex'));
      }
    } catch {
      // The peer was ended with its test.
      this.destroy();
    }
  }
}
