// A collector of traces of another make: opentelemetry-proto (PyPI) decodes what is exported.

import type { TestContext } from 'node:test';
import { type AnyEvent, PythonPeer, pythonWith, spawnPython } from './python-peer.ts';

export interface CollectedSpan extends AnyEvent {
  readonly path: string;
  /** Content-Type, Content-Encoding and `X-Key` of the request that brought it. */
  readonly kind: string;
  readonly encoding: string | null;
  readonly key: string | null;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly spanKind: number;
  readonly startNs: number;
  readonly tookNs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  readonly error: string | null;
}

export interface Collector {
  readonly endpoint: string;
  /** The next span of a service. Rejects when something came that could not be read. */
  next(service: string): Promise<CollectedSpan>;
  /** Settles when a request was refused. */
  refused(): Promise<unknown>;
}

/** Starts one that refuses the first requests with these statuses. It is ended with the test. */
export async function startCollector(t: TestContext, refusals: readonly number[] = []): Promise<Collector> {
  const python = await pythonWith('opentelemetry-proto', '1.45.2');
  const peer = new PythonPeer<never, CollectedSpan & { port?: number; text?: string }>(
    spawnPython(t, python, 'otlp-collector.py', refusals.map(String)),
  );
  const { port } = await peer.next('listening');
  const waiting: CollectedSpan[] = [];
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async next(service) {
      for (;;) {
        const index = waiting.findIndex(({ resource }) => resource['service.name'] === service);
        const [found] = index === -1 ? [] : waiting.splice(index, 1);
        if (found !== undefined) return found;
        const malformed = peer.taken('malformed');
        if (malformed !== undefined) throw new Error(`the collector could not read: ${malformed.text}`);
        waiting.push(await peer.next('span'));
      }
    },
    refused: () => peer.next('refused'),
  };
}
