// One real request of `postern explain`: looks the name up, asks as a visitor would, and reads what the answer tells of its
// way. What fails here is told as a value, not thrown: it is what was asked for.

import { lookup } from 'node:dns/promises';
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { describeError, foreignCode } from '../../internal/errors/error.ts';
import { formatHostPort } from '../../internal/net/address/host-port.ts';
import { version } from '../version-line.ts';

export interface VisitOptions {
  readonly url: URL;
  /** Asked in place of what the name resolves to. */
  readonly address: string | undefined;
  /** PEM roots that are trusted. */
  readonly ca: readonly string[];
  readonly timeoutMs: number;
}

export type Visit =
  /** The name has no address. */
  | { readonly kind: 'unnamed'; readonly reason: string }
  /** Nobody answered there. */
  | {
      readonly kind: 'unanswered';
      readonly address: string;
      /** The step that failed: no connection, no trust, or no answer on the connection. */
      readonly step: 'connect' | 'tls' | 'answer';
      readonly reason: string;
    }
  | Answered;

export interface Answered {
  readonly kind: 'answered';
  /** `IP:port`. */
  readonly address: string;
  readonly status: number;
  readonly tookMs: number;
  readonly requestId: string | undefined;
  /** The hop that the edge or the connector names: `edge`, `connector` or `origin`; undefined when the request came through. */
  readonly failedHop: string | undefined;
  /** Of the edge's own answers: the code of the problem, its text and remedy. */
  readonly problem: Problem | undefined;
}

export interface Problem {
  readonly code: string | undefined;
  readonly text: string;
  readonly remedy: string | undefined;
}

/** Longest body that is read: the edge's own answers are shorter. */
const maxBodyBytes = 16 * 1024;

/** Never rejects. */
export async function visit(options: VisitOptions): Promise<Visit> {
  const { url } = options;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  let host = options.address;
  if (host === undefined) {
    // RFC 6761 §6.3: browsers do not look these names up.
    if (name === 'localhost' || name.endsWith('.localhost')) host = '127.0.0.1';
    else if (isIP(name) !== 0) host = name;
    else {
      try {
        host = (await lookup(name)).address;
      } catch (error) {
        return { kind: 'unnamed', reason: foreignCode(error) ?? describeError(error) };
      }
    }
  }
  return ask(options, name, host);
}

function ask({ url, ca, timeoutMs }: VisitOptions, name: string, host: string): Promise<Visit> {
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const address = formatHostPort(host, port);
  const startMs = performance.now();
  let step: 'connect' | 'tls' | 'answer' = 'connect';
  return new Promise(resolve => {
    const options: RequestOptions = {
      host,
      port,
      path: `${url.pathname}${url.search}`,
      agent: false,
      headers: {
        Host: url.host,
        // The edge's own answers come as JSON then.
        Accept: 'application/problem+json, */*;q=0.5',
        'User-Agent': `postern/${version} explain`,
      },
      signal: AbortSignal.timeout(timeoutMs),
    };
    const fail = (error: unknown): void => {
      const isLate = error instanceof Error && error.name === 'TimeoutError';
      const late = `no answer within ${timeoutMs} ms`;
      const cause = error instanceof Error && error.name === 'AbortError' ? error.cause : undefined;
      const gaveUp = isLate || (cause instanceof Error && cause.name === 'TimeoutError');
      resolve({
        kind: 'unanswered',
        address,
        step,
        reason: gaveUp ? late : (foreignCode(error) ?? describeError(error)),
      });
    };
    const onAnswer = (response: IncomingMessage): void => {
      const tookMs = performance.now() - startMs;
      void readProblem(response).then(problem => {
        const read = (field: string): string | undefined => {
          const value = response.headers[field];
          return typeof value === 'string' ? value.slice(0, 64) : undefined;
        };
        resolve({
          ...{ kind: 'answered', address, status: response.statusCode ?? 0, tookMs, problem },
          ...{ requestId: read('postern-request-id'), failedHop: read('postern-failed-hop') },
        });
      });
    };
    const call = isTls
      ? // SNI takes no addresses (RFC 6066 §3).
        requestHttps({ ...options, servername: isIP(name) === 0 ? name : '', ca: [...ca] }, onAnswer)
      : requestHttp(options, onAnswer);
    call.on('socket', socket => {
      socket.once('connect', () => {
        step = isTls ? 'tls' : 'answer';
      });
      socket.once('secureConnect', () => {
        step = 'answer';
      });
    });
    call.on('error', fail).end();
  });
}

/** What the edge or the connector says in an answer of its own; the body of an origin's is not read. Never rejects. */
async function readProblem(response: IncomingMessage): Promise<Problem | undefined> {
  if (response.headers['postern-failed-hop'] === undefined) {
    response.destroy();
    return undefined;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) break;
      chunks.push(chunk);
    }
  } catch {
    // What came tells more than that it broke off.
  }
  const text = Buffer.concat(chunks).toString();
  if (response.headers['content-type'] !== 'application/problem+json') {
    const [line = ''] = text.split('\n');
    return { code: undefined, text: line.replace(/^\d{3} /, ''), remedy: undefined };
  }
  try {
    const { code, detail, remedy } = JSON.parse(text) as Record<string, unknown>;
    const say = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
    return { code: say(code), text: say(detail) ?? '', remedy: say(remedy) };
  } catch {
    return { code: undefined, text: '', remedy: undefined };
  }
}
