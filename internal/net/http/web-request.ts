// One web request outside the data path (control-plane calls, documents and key sets): undici with a trust of its own, no kept
// connections, and bounds on the answer. Origins have their own client in internal/origin.

import type { IncomingHttpHeaders } from 'node:http';
import { socketLookup } from '../address/lookup-host.ts';
import { systemRoots } from '../trust/system-roots.ts';

export interface WebRequest {
  readonly url: string;
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** PEM roots instead of the system's. */
  readonly ca?: readonly string[] | undefined;
  readonly signal: AbortSignal;
  /** Longest answer taken. */
  readonly maxBytes: number;
}

export interface WebAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
}

/** Redirects are not followed. Rejects with undici's or Node's errors, or an Error when the answer is too long. */
export async function requestWeb(options: WebRequest): Promise<WebAnswer> {
  const { url, method = 'GET', headers = {}, body = null, signal } = options;
  // Loaded when first needed: 20 MB that a connector at work does without.
  const { Agent, request: send } = await import('undici');
  const isSecure = url.startsWith('https:');
  const dispatcher = new Agent({
    connect: { lookup: socketLookup, ...(isSecure ? { ca: [...(options.ca ?? systemRoots())] } : {}) },
  });
  try {
    const answer = await send(url, { method, headers, body, signal, dispatcher });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > options.maxBytes) throw new Error(`the answer is too large: larger than ${options.maxBytes} bytes`);
      chunks.push(chunk);
    }
    const all = Buffer.concat(chunks);
    return { status: answer.statusCode, headers: answer.headers, text: all.toString('utf8'), bytes: all };
  } finally {
    await dispatcher.destroy();
  }
}
