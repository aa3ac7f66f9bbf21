// One web request outside the data path (control-plane calls, documents and key sets): undici with a trust of its own, no kept
// connections, and bounds on the answer. Origins have their own client in internal/origin.

import type { IncomingHttpHeaders } from 'node:http';
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
}

/** Redirects are not followed. Rejects with undici's or Node's errors, or an Error when the answer is too long. */
export function requestWeb(options: WebRequest): Promise<WebAnswer> {
  return streamWeb(options, async ({ status, headers }, body) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > options.maxBytes) throw new Error(`the answer is too large: larger than ${options.maxBytes} bytes`);
      chunks.push(chunk);
    }
    return { status, headers, text: Buffer.concat(chunks).toString('utf8') };
  });
}

/**
 * The same for an answer that is too long to hold: `take` gets its head, and its body as it comes. What `take` leaves unread is
 * not fetched. Rejects with undici's, Node's or `take`'s errors.
 */
export async function streamWeb<T>(
  options: Omit<WebRequest, 'maxBytes'>,
  take: (head: Omit<WebAnswer, 'text'>, body: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const { url, method = 'GET', headers = {}, body = null, signal } = options;
  // Loaded when first needed: 20 MB that a connector at work does without.
  const { Agent, request: send } = await import('undici');
  const isSecure = url.startsWith('https:');
  const dispatcher = new Agent(isSecure ? { connect: { ca: [...(options.ca ?? systemRoots())] } } : {});
  try {
    const answer = await send(url, { method, headers, body, signal, dispatcher });
    return await take({ status: answer.statusCode, headers: answer.headers }, answer.body);
  } finally {
    await dispatcher.destroy();
  }
}
