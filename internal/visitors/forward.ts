// Takes a visitor's request to a connector and its answer back: choose a connection, retry where nothing was lost, stream
// both bodies with back-pressure. Source: docs/protocol/edge-protocol.md §10.4–10.8, §13.2 point 6; RFC 9110 §9.2.2
// (idempotent).

import type { Duplex } from 'node:stream';
import type { Carrier } from '../carriers/carrier.ts';
import type { ConnectorRegistry } from '../carriers/connector-registry.ts';
import { errorFields, isPosternError, PosternError } from '../errors/error.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import { pump } from '../net/stream/pump.ts';
import { splice, webSocketLingerMs } from '../net/stream/splice.ts';
import { countGarbage } from '../net/stream/young-garbage.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeResponse, OutgoingStream, RequestHead } from '../transport/transport.ts';
import type { Attempt, BeginChoice, Choice } from './choice.ts';
import { excessOf } from './excess.ts';
import type { VisitorTimeouts } from './limits.ts';
import { answerProblem, type ErrorPage, type ProblemKind } from './problem.ts';
import { requestHeaders } from './request-headers.ts';
import { upgradeHeaders, visitorHead, visitorTrailers } from './response-head.ts';
import type { HostnameRoute, HostnameTable } from './routing/hostname-table.ts';
import type { Idler, UploadWatch } from './upload-watch.ts';
import type { ResponseBody, VisitorRequest, VisitorResponse } from './visitor.ts';

export interface ForwardOptions {
  readonly hostnames: HostnameTable<BeginChoice>;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  readonly timeouts: VisitorTimeouts;
  readonly uploads: UploadWatch;
  /** How long a request waits for a connector that is just coming back; default 10 s. */
  readonly returnWaitMs: number | undefined;
  /** How long an origin may take to begin its answer; 0 = as long as the visitor waits. Default 10 min. */
  readonly answerTimeoutMs: number | undefined;
  /** What browsers are shown of failures. */
  readonly errorPage: ErrorPage;
}

/** Connections tried for one request: the four of a connector, once each. */
export const maxAttempts = 4;
/**
 * How long a request waits for a connector that is just coming back: while an edge restarts, back-off grows to a few
 * seconds. Nobody waits for one that has been away for long.
 */
export const defaultReturnWaitMs = 10_000;
/** Reports and long polls pass; a minute or two, as other edges have it, cuts some of them off. */
export const defaultAnswerTimeoutMs = 600_000;
/** Longer ones Node takes for 1 ms. */
const longestTimerMs = 2 ** 31 - 1;
/** How long an early refusal by the origin may take before a visitor who asked is told to send the body. */
const continueWaitMs = 100;
const retryable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Serves one request to its end. Never rejects. */
export async function forward(
  request: VisitorRequest,
  response: VisitorResponse,
  options: ForwardOptions,
): Promise<void> {
  const route = request.target === undefined ? options.hostnames.routeOf(request.host) : undefined;
  const path = request.target === undefined ? request.path : '';
  const isForConnector = request.target === undefined && options.registry.isManagementHost(request.host);
  if ((route === undefined && request.target === undefined) || isForConnector) {
    answerProblem(response, request, 'no-route', options.errorPage);
    return;
  }
  const excess = excessOf(request);
  if (excess !== undefined) {
    const fields = { cfRay: request.id, host: request.host, path: path.slice(0, 256), failed: excess.kind };
    options.logger.debug({ ...fields, error: excess.text }, 'Request failed');
    answerProblem(response, request, excess.kind, options.errorPage);
    return;
  }
  const visit = new Visit(request, response, route, options);
  try {
    await visit.run();
  } catch (error) {
    visit.abandon();
    const kind = visit.problem ?? problemOf(error, visit.wasSent);
    // What is left of the body might still come, and be taken for a request.
    if (visit.stalled !== undefined) response.closeAfter();
    const { host } = request;
    const fields = { cfRay: request.id, host, path, failed: kind, ...errorFields(error) };
    if (kind === 'edge') options.logger.error(fields, 'Request failed at the edge');
    else options.logger.debug(fields, 'Request failed');
    answerProblem(response, request, kind, options.errorPage);
  }
}

const stallProblems: Readonly<Record<Idler, ProblemKind>> = { visitor: 'stalled', origin: 'origin' };

class Visit {
  /** Who stopped in the middle of the request's body. */
  stalled: Idler | undefined;
  readonly #request: VisitorRequest;
  readonly #response: VisitorResponse;
  readonly #tunnelId: TunnelId | undefined;
  /** Of a host name that several may serve. */
  readonly #choice: Choice | undefined;
  /** The one connector of that tunnel that is asked; undefined = any. */
  readonly #clientId: string | undefined;
  readonly #registry: ConnectorRegistry;
  readonly #returnWaitMs: number;
  readonly #timeouts: VisitorTimeouts;
  readonly #uploads: UploadWatch;
  readonly #answerTimeoutMs: number;
  #attempt: Attempt | undefined;
  #stream: OutgoingStream | undefined;
  #isLate = false;
  #deadline: NodeJS.Timeout | undefined;
  #gone = false;
  #waited = false;

  constructor(
    request: VisitorRequest,
    response: VisitorResponse,
    route: HostnameRoute<BeginChoice> | undefined,
    options: ForwardOptions,
  ) {
    this.#request = request;
    this.#response = response;
    this.#tunnelId = request.target?.tunnelId ?? route?.tunnelId;
    this.#clientId = request.target?.clientId;
    this.#choice = route?.choose?.(request, response);
    this.#registry = options.registry;
    this.#timeouts = options.timeouts;
    this.#uploads = options.uploads;
    this.#returnWaitMs = options.returnWaitMs ?? defaultReturnWaitMs;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? defaultAnswerTimeoutMs;
    request.target?.signal?.addEventListener('abort', () => this.abandon());
    response.onGone(() => {
      this.#gone = true;
      this.#stream?.reset();
    });
  }

  /** Throws what the visitor should be told; after the head was sent failures show as a broken-off body instead. */
  async run(): Promise<void> {
    this.#startDeadline();
    const { stream, answer } = await this.#ask().finally(() => this.#endDeadline());
    if (answer.spans !== undefined) this.#response.reported(answer.spans);
    // gRPC's errors that come at once are trailers alone, and must be the end of the answer at the visitor's as well.
    const isOnlyHead = answer.headers.some(isGrpcStatus) && !(await hasBytes(stream.body));
    if (this.#gone) stream.reset();
    else if (this.#request.upgrade && answer.status === 101) this.#joinRaw(stream, answer);
    else this.#copyResponse(stream, answer, isOnlyHead);
  }

  /** What to tell the visitor when it is known better than by the error. */
  get problem(): ProblemKind | undefined {
    if (this.#isLate) return 'late';
    return this.stalled === undefined ? undefined : stallProblems[this.stalled];
  }

  /** Whether some connector has had the request. */
  get wasSent(): boolean {
    return this.#stream !== undefined;
  }

  /** Lets go of the origin. */
  abandon(): void {
    this.#stream?.reset();
  }

  #startDeadline(): void {
    if (this.#answerTimeoutMs === 0) return;
    this.#deadline = setTimeout(
      () => {
        this.#isLate = true;
        this.#stream?.reset();
      },
      Math.min(this.#answerTimeoutMs, longestTimerMs),
    );
  }

  #endDeadline(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  async #ask(): Promise<{ stream: OutgoingStream; answer: EdgeResponse }> {
    const head = headOf(this.#request);
    const tried: Carrier[] = [];
    let failure: unknown;
    for (;;) {
      const carrier = await this.#pick(tried, failure);
      if (this.#gone) throw new PosternError('stream.reset', 'The visitor went away.');
      tried.push(carrier);
      let stream: OutgoingStream | undefined;
      let isAbandoned = false;
      const untell = this.#registry.whenSuspect(carrier, () => {
        if (!this.#mayMove(tried)) return;
        isAbandoned = true;
        stream?.reset();
      });
      try {
        const host = this.#attempt?.host ?? head.host;
        // Only the management step says itself where a request goes.
        const isChecked = this.#request.target !== undefined;
        stream = isChecked ? carrier.request(head) : this.#registry.ask(carrier, { ...head, host });
        this.#stream = stream;
        this.#response.carried();
        this.#sendBody(stream);
        const answer = await stream.response;
        this.#attempt?.answered();
        return { stream, answer };
      } catch (error) {
        failure = error;
        if (!this.#gone) this.#attempt?.failed(error);
        const mayRetry = isAbandoned || this.#mayRetry(error, stream !== undefined);
        if (this.#gone || this.#isLate || tried.length >= maxAttempts || !mayRetry) throw error;
      } finally {
        untell();
      }
    }
  }

  /** One not tried yet; waits once for one that comes back. Throws `failure`, the last attempt's error, when there is none. */
  async #pick(tried: readonly Carrier[], failure: unknown): Promise<Carrier> {
    const picked = this.#next(tried);
    if (picked !== undefined) return picked;
    // Whoever said something is there: nobody else will come.
    const mayWait = !this.#waited && (failure === undefined || isLoss(failure));
    this.#waited = true;
    if (mayWait && (await this.#waitForReturn())) {
      const late = this.#next(tried);
      if (late !== undefined) return late;
    }
    throw failure ?? new PosternError('connection.lost', 'No connector of this tunnel is connected.');
  }

  #next(tried: readonly Carrier[]): Carrier | undefined {
    if (this.#tunnelId !== undefined) return this.#registry.pick(this.#tunnelId, tried, this.#clientId)?.connection;
    this.#attempt = this.#choice?.next();
    return this.#attempt?.carrier;
  }

  async #waitForReturn(): Promise<boolean> {
    if (this.#tunnelId !== undefined) return this.#registry.waitForReturn(this.#tunnelId, this.#returnWaitMs);
    return (await this.#choice?.waitForReturn(this.#returnWaitMs)) === true;
  }

  /** Whether a request without an answer can go to a connection that is not suspect, and harms nothing if it went twice. */
  #mayMove(tried: readonly Carrier[]): boolean {
    const { bodyLength, method, upgrade } = this.#request;
    if (bodyLength !== 0 || upgrade || !retryable.has(method) || tried.length >= maxAttempts) return false;
    if (this.#tunnelId === undefined) return this.#choice?.hasNext() === true;
    const next = this.#registry.pick(this.#tunnelId, tried, this.#clientId);
    return next !== undefined && !this.#registry.isSuspect(next);
  }

  /** Nothing of a response came. What was not sent may be sent again, and what has no body if the method allows. */
  #mayRetry(error: unknown, sent: boolean): boolean {
    // Another of a pool may have what one lacks; the connections of one tunnel lead to the same origin.
    const isElsewhere = this.#choice !== undefined;
    const refused = isPosternError(error, 'connection.closed') || (isElsewhere && isPosternError(error, 'flow.limit'));
    if (!sent) return refused;
    if (this.#request.bodyLength !== 0 || this.#request.upgrade) return false;
    const lost = isPosternError(error, 'connection.lost') || isPosternError(error, 'stream.reset');
    const failed = lost || (isElsewhere && isOriginFailure(error));
    return refused || (failed && retryable.has(this.#request.method));
  }

  #sendBody(stream: OutgoingStream): void {
    const { bodyLength, body, upgrade } = this.#request;
    if (upgrade || bodyLength === 0) return;
    // An origin that refuses at once (413, 401) spares the visitor the upload.
    const timer = setTimeout(() => this.#response.continue(), continueWaitMs);
    const answered = (): void => {
      clearTimeout(timer);
      // A call that streams both ways may be silent for as long as it likes.
      if (bodyLength < 0) this.#uploads.forget(body);
    };
    stream.response.then(answered, answered);
    // Nobody can answer before the body is there.
    body.on('data', (chunk: Buffer) => {
      this.#response.bytesUp += chunk.length;
      this.#deadline?.refresh();
    });
    const stop = pump(body, stream.body);
    stream.body.once('close', () => {
      clearTimeout(timer);
      this.#uploads.forget(body);
      stop();
      body.resume();
    });
    this.#uploads.watch(body, bodyLength < 0 ? this.#timeouts.streamStallMs : this.#timeouts.stallMs, who => {
      this.stalled = who;
      stream.reset();
    });
  }

  #joinRaw(stream: OutgoingStream, answer: EdgeResponse): void {
    const raw = this.#response.upgrade(upgradeHeaders(answer.headers));
    if (raw === undefined) stream.reset();
    else splice(raw, stream.body, webSocketLingerMs);
  }

  #copyResponse(stream: OutgoingStream, answer: EdgeResponse, isOnlyHead: boolean): void {
    const { headers, length } = visitorHead(answer);
    const { method, upgrade } = this.#request;
    // An upgrade that was refused has no more bytes to send.
    if (upgrade) stream.body.end();
    const hasBody = !isOnlyHead && method !== 'HEAD' && answer.status !== 204 && answer.status !== 304;
    const target = startResponse(this.#response, answer.status, headers, hasBody);
    if (target === undefined) stream.body.resume();
    else copyBody(stream, target, length);
  }
}

function isGrpcStatus(name: string, index: number): boolean {
  return index % 2 === 0 && name.length === 11 && name.toLowerCase() === 'grpc-status';
}

/** Settles with the first bytes of a body, which stay unread, or with its end. A body that broke off is not empty. */
function hasBytes(body: Duplex): Promise<boolean> {
  return new Promise(resolve => {
    body.once('readable', () => resolve(body.readableLength > 0));
    body.once('close', () => resolve(true));
    if (body.destroyed) resolve(true);
  });
}

function startResponse(
  response: VisitorResponse,
  status: number,
  headers: HeaderList,
  hasBody: boolean,
): ResponseBody | undefined {
  try {
    return response.start(status, headers, { hasBody });
  } catch (cause) {
    // Node refuses what cannot be a header; nothing was sent then.
    throw new PosternError('protocol.malformed', 'The answer of the connector has malformed headers.', { cause });
  }
}

/**
 * Copies until 'end'; a stream that closes without it breaks the response off, and so does one that ends before `length`
 * bytes (-1: any) or goes on after them, which would be the next response to a visitor who believes the length.
 */
function copyBody(stream: OutgoingStream, target: ResponseBody, length: number): void {
  const { body } = stream;
  let ended = false;
  let left = length < 0 ? Number.POSITIVE_INFINITY : length;
  body.on('data', (chunk: Buffer) => {
    countGarbage(chunk.length);
    left -= chunk.length;
    if (left < 0) stream.reset();
    else if (!target.write(chunk)) body.pause();
  });
  target.onDrain(() => body.resume());
  body.once('end', () => {
    if (left > 0 && length >= 0) {
      target.breakOff();
      return;
    }
    ended = true;
    target.end(visitorTrailers(stream.trailers));
  });
  body.once('close', () => {
    if (!ended) target.breakOff();
  });
  if (body.destroyed && !body.readableEnded) target.breakOff();
}

function isLoss(error: unknown): boolean {
  return isPosternError(error, 'connection.lost') || isPosternError(error, 'connection.closed');
}

function isOriginFailure(error: unknown): boolean {
  return isPosternError(error, 'origin.unreachable') || isPosternError(error, 'origin.refused');
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

function problemOf(error: unknown, wasSent: boolean): ProblemKind {
  if (wasSent && isPosternError(error, 'connection.lost')) return 'lost';
  if (isPosternError(error, 'flow.limit')) return 'flow-limit';
  if (isPosternError(error, 'origin.unreachable')) return 'origin';
  if (isPosternError(error, 'protocol.too-large')) return 'too-large';
  if (isPosternError(error, 'stream.reset') || isPosternError(error, 'protocol.malformed')) return 'connector';
  return error instanceof PosternError ? 'no-connector' : 'edge';
}
