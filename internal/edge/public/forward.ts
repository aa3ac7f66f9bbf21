// Takes a visitor's request to a connector and its answer back: choose a connection, retry where nothing was lost, stream
// both bodies with back-pressure. Source: spec edge-protocol §10.4–10.8, §13.2 point 6; RFC 9110 §9.2.2 (idempotent).

import { isPosternError, PosternError } from '../../errors/error.ts';
import { splice } from '../../net/splice.ts';
import type { TunnelId } from '../../schema/api-id.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { EdgeConnection, EdgeResponse, OutgoingStream, RequestHead } from '../../transport/transport.ts';
import { withoutHopByHop } from '../../wire/hop-by-hop.ts';
import type { ConnectorRegistry } from '../connectors/connector-registry.ts';
import type { HostnameTable } from '../routing/hostname-table.ts';
import { answerProblem, type Problem } from './problem.ts';
import { requestHeaders } from './request-headers.ts';
import type { ResponseBody, VisitorRequest, VisitorResponse } from './visitor.ts';

export interface ForwardOptions {
  readonly hostnames: HostnameTable;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
}

/** Connections tried for one request: the four of a connector, once each. */
const maxAttempts = 4;
/** How long a request waits for a connector that is just coming back (an edge or a connector was restarted). */
const reconnectWaitMs = 3_000;
/** How long an early refusal by the origin may take before a visitor who asked is told to send the body. */
const continueWaitMs = 100;
const retryable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Serves one request to its end. Never rejects. */
export async function forward(
  request: VisitorRequest,
  response: VisitorResponse,
  options: ForwardOptions,
): Promise<void> {
  const tunnelId = options.hostnames.lookup(hostname(request.host));
  if (tunnelId === undefined) {
    answerProblem(response, request, { kind: 'no-route', host: request.host });
    return;
  }
  const visit = new Visit(request, response, tunnelId, options);
  try {
    await visit.run();
  } catch (error) {
    options.logger.debug({ host: request.host, path: request.path, error }, 'Request failed');
    answerProblem(response, request, problemOf(error));
  }
}

class Visit {
  readonly #request: VisitorRequest;
  readonly #response: VisitorResponse;
  readonly #tunnelId: TunnelId;
  readonly #registry: ConnectorRegistry;
  #stream: OutgoingStream | undefined;
  #gone = false;

  constructor(request: VisitorRequest, response: VisitorResponse, tunnelId: TunnelId, options: ForwardOptions) {
    this.#request = request;
    this.#response = response;
    this.#tunnelId = tunnelId;
    this.#registry = options.registry;
    response.onGone(() => {
      this.#gone = true;
      this.#stream?.reset();
    });
  }

  /** Throws what the visitor should be told; after the head was sent failures show as a broken-off body instead. */
  async run(): Promise<void> {
    const { stream, answer } = await this.#ask();
    if (this.#gone) {
      stream.reset();
      return;
    }
    if (this.#request.upgrade && answer.status === 101) this.#joinRaw(stream, answer);
    else this.#copyResponse(stream, answer);
  }

  async #ask(): Promise<{ stream: OutgoingStream; answer: EdgeResponse }> {
    const head = headOf(this.#request);
    const tried: EdgeConnection[] = [];
    for (;;) {
      const { connection } = await this.#pick(tried);
      tried.push(connection);
      try {
        const stream = connection.request(head);
        this.#stream = stream;
        this.#sendBody(stream);
        return { stream, answer: await stream.response };
      } catch (error) {
        if (this.#gone || tried.length >= maxAttempts || !this.#mayRetry(error)) throw error;
      }
    }
  }

  async #pick(tried: readonly EdgeConnection[]): Promise<{ connection: EdgeConnection }> {
    const picked = this.#registry.pick(this.#tunnelId, tried);
    if (picked !== undefined) return picked;
    if (await this.#registry.waitFor(this.#tunnelId, reconnectWaitMs)) {
      const late = this.#registry.pick(this.#tunnelId);
      if (late !== undefined) return late;
    }
    throw new PosternError('connection.lost', 'No connector of this tunnel is connected.');
  }

  /** Nothing of a response came. Without a body the request can be made again; with one only if it was not begun. */
  #mayRetry(error: unknown): boolean {
    if (isPosternError(error, 'connection.closed')) return this.#stream === undefined || this.#request.bodyLength === 0;
    const lost = isPosternError(error, 'connection.lost') || isPosternError(error, 'stream.reset');
    return lost && this.#request.bodyLength === 0 && retryable.has(this.#request.method) && !this.#request.upgrade;
  }

  #sendBody(stream: OutgoingStream): void {
    const { bodyLength, body, upgrade } = this.#request;
    if (upgrade || bodyLength === 0) return;
    // An origin that refuses at once (413, 401) spares the visitor the upload.
    const timer = setTimeout(() => this.#response.continue(), continueWaitMs);
    stream.body.once('close', () => {
      clearTimeout(timer);
      body.unpipe(stream.body);
      body.resume();
    });
    stream.response.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
    body.pipe(stream.body);
  }

  #joinRaw(stream: OutgoingStream, answer: EdgeResponse): void {
    const raw = this.#response.upgrade(answer.headers);
    if (raw === undefined) stream.reset();
    else splice(raw, stream.body);
  }

  #copyResponse(stream: OutgoingStream, answer: EdgeResponse): void {
    const { method } = this.#request;
    const hasBody = method !== 'HEAD' && answer.status !== 204 && answer.status !== 304;
    const target = this.#response.start(answer.status, withoutHopByHop(answer.headers), { hasBody });
    if (target === undefined) {
      stream.body.resume();
      return;
    }
    copyBody(stream, target);
  }
}

/** Copies until 'end'; a stream that closes without it breaks the response off. */
function copyBody(stream: OutgoingStream, target: ResponseBody): void {
  const { body } = stream;
  let ended = false;
  body.on('data', (chunk: Buffer) => {
    if (!target.write(chunk)) body.pause();
  });
  target.onDrain(() => body.resume());
  body.once('end', () => {
    ended = true;
    target.end(stream.trailers);
  });
  body.once('close', () => {
    if (!ended) target.breakOff();
  });
  if (body.destroyed && !body.readableEnded) target.breakOff();
}

function headOf(request: VisitorRequest): RequestHead {
  return {
    kind: request.upgrade ? 'websocket' : 'http',
    method: request.method,
    scheme: request.scheme,
    host: request.host,
    path: request.path,
    headers: requestHeaders(request),
    bodyLength: request.upgrade ? -1 : request.bodyLength,
  };
}

/** Host without port. */
function hostname(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
}

function problemOf(error: unknown): Problem {
  if (isPosternError(error, 'flow.limit')) return { kind: 'flow-limit' };
  if (isPosternError(error, 'origin.unreachable')) return { kind: 'origin' };
  if (isPosternError(error, 'stream.reset') || isPosternError(error, 'protocol.malformed'))
    return { kind: 'connector' };
  return { kind: 'no-connector' };
}
