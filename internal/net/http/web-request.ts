// One web request outside the data path (control-plane calls, documents and key sets): undici with a trust of its own, no kept
// connections, and bounds on the answer. Origins have their own client in internal/origin.

import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Agent, buildConnector } from 'undici';
import { socketLookup } from '../address/lookup-host.ts';
import { dialThroughProxy } from '../proxy/dial-proxy.ts';
import type { ForwardProxy } from '../proxy/forward-proxy.ts';
import { systemRoots } from '../trust/system-roots.ts';

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

export type WebAgentOptions = Pick<WebRequest, 'ca' | 'proxy' | 'signal'> & { readonly isSecure: boolean };

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
  const { request: send } = await import('undici');
  await using agent = await openWebAgent({ ...options, isSecure: url.startsWith('https:') });
  const answer = await send(url, { method, headers, body, signal, dispatcher: agent.dispatcher });
  return await take({ status: answer.statusCode, headers: answer.headers }, answer.body);
}

/** Connects for undici. Disposal ends every connection at once, also one that has become a WebSocket. */
export interface WebAgent extends AsyncDisposable {
  readonly dispatcher: Agent;
}

/** What to connect by: trust, a proxy, and the names that nobody looks up. */
export async function openWebAgent({ ca, isSecure, proxy, signal }: WebAgentOptions): Promise<WebAgent> {
  const { Agent, buildConnector } = await import('undici');
  const roots = isSecure ? [...(ca ?? systemRoots())] : [];
  const sockets = new Set<Socket>();
  const connectOne =
    proxy === undefined
      ? buildConnector({ ca: roots, lookup: socketLookup, allowH2: false })
      : connectBy(proxy, roots, signal);
  const dispatcher = new Agent({
    connect: (options, done) => {
      connectOne(options, (error, socket) => {
        if (error !== null) return done(error, null);
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        done(null, socket);
      });
    },
  });
  return {
    dispatcher,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await dispatcher.destroy();
    },
  };
}

/** For the dial alone; the whole request has its own deadline in `signal`. */
const proxyTimeoutMs = 15_000;

/** Connects as undici asks, by a tunnel through `proxy`: it sends no request of its own to the proxy. */
function connectBy(proxy: ForwardProxy, ca: readonly string[], signal: AbortSignal): buildConnector.connector {
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
