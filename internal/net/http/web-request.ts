// One web request outside the data path (control-plane calls, documents and key sets): undici with a trust of its own, no kept
// connections, and bounds on the answer. Origins have their own client in internal/origin.

import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Agent as WebAgent } from 'undici';
import { socketLookup } from '../address/lookup-host.ts';
import { dialThroughProxy } from '../proxy/dial-proxy.ts';
import type { ForwardProxy } from '../proxy/forward-proxy.ts';
import { systemRoots } from '../trust/system-roots.ts';

type AgentOptions = WebAgent.Options;

export interface WebRequest {
  readonly url: string;
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** The way there leads through it. */
  readonly proxy?: ForwardProxy | undefined;
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
export function requestWeb(options: WebRequest): Promise<WebAnswer> {
  return streamWeb(options, async ({ status, headers }, body) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > options.maxBytes) throw new Error(`the answer is too large: larger than ${options.maxBytes} bytes`);
      chunks.push(chunk);
    }
    const all = Buffer.concat(chunks);
    return { status, headers, text: all.toString('utf8'), bytes: all };
  });
}

/**
 * The same for an answer that is too long to hold: `take` gets its head, and its body as it comes. What `take` leaves unread is
 * not fetched. Rejects with undici's, Node's or `take`'s errors.
 */
export async function streamWeb<T>(
  options: Omit<WebRequest, 'maxBytes'>,
  take: (head: Pick<WebAnswer, 'status' | 'headers'>, body: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const { url, method = 'GET', headers = {}, body = null, signal } = options;
  // Loaded when first needed: 20 MB that a connector at work does without.
  const { Agent, request: send } = await import('undici');
  const isSecure = url.startsWith('https:');
  const ca = isSecure ? [...(options.ca ?? systemRoots())] : [];
  const { proxy } = options;
  const direct = { lookup: socketLookup, ...(isSecure ? { ca } : {}) };
  const dispatcher = new Agent({ connect: proxy === undefined ? direct : connectBy(proxy, ca, signal) });
  try {
    const answer = await send(url, { method, headers, body, signal, dispatcher });
    return await take({ status: answer.statusCode, headers: answer.headers }, answer.body);
  } finally {
    await dispatcher.destroy();
  }
}

/** For the dial alone; the whole request has its own deadline in `signal`. */
const proxyTimeoutMs = 15_000;

/** Connects as undici asks, by a tunnel through `proxy`: it sends no request of its own to the proxy. */
function connectBy(
  proxy: ForwardProxy,
  ca: readonly string[],
  signal: AbortSignal,
): NonNullable<AgentOptions['connect']> {
  return ({ hostname, port, protocol, servername }, done) => {
    const isSecure = protocol === 'https:';
    const host = hostname.replace(/^\[|\]$/g, '');
    const target = { host, port: port === '' ? (isSecure ? 443 : 80) : Number(port) };
    const open = async (): Promise<Socket> => {
      const { socket } = await dialThroughProxy({ ...target, proxy, timeoutMs: proxyTimeoutMs, signal });
      if (!isSecure) return socket;
      const name = servername ?? (isIP(host) === 0 ? host : '');
      const secure = connectTls({ socket, host, servername: name, ca: [...ca] });
      await once(secure, 'secureConnect', { signal });
      return secure;
    };
    open().then(
      socket => done(null, socket),
      (error: Error) => done(error, null),
    );
  };
}
