// One request in the proxy: the transport's stream seen by an origin, with its logging, counting and end.
// Source: docs/protocol/ingress-and-origin.md §8.4 (errors and log fields), docs/protocol/edge-protocol.md §9.3.4
// (ending a stream).

import type { Duplex } from 'node:stream';
import { describeError, errorFields, PosternError } from '../errors/error.ts';
import type { HeaderList } from '../net/http/header-list.ts';
import { countGarbage } from '../net/stream/young-garbage.ts';
import type { Cancelable, Exchange, ExchangeHead } from '../origin/exchange/exchange.ts';
import type { HostFigures } from '../telemetry/host-figures.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { IncomingStream } from '../transport/transport.ts';
import type { AccessLog } from './access-log.ts';
import type { ProxyMetrics } from './metrics.ts';
import { logRequest, logResponse, requestIdOf } from './request-log.ts';
import type { RequestTrace } from './request-trace.ts';

/** What an exchange tells about itself in the log. */
export interface ExchangeSubject {
  readonly log: Logger;
  readonly metrics: ProxyMetrics | undefined;
  /** Index of the rule, for `ingressRule`. */
  readonly ruleIndex: number;
  /** Text of the service, for `originService`. */
  readonly service: string;
  /** Told of each request that ended; undefined where nobody asked for it. */
  readonly access: AccessLog | undefined;
  /** Of the rule's host; undefined where nobody counts, and until the rule is in force. */
  figures: HostFigures | undefined;
}

/** Told when an exchange has ended, whichever way. */
export interface ExchangeOwner {
  exchangeEnded(): void;
}

/** What a small exchange leaves behind, estimated: about 18 KB in V8's heap by the collector's trace, and its buffers. */
const exchangeGarbageBytes = 24 * 1024;

export class StreamExchange implements Exchange {
  readonly head: ExchangeHead;
  readonly body: Duplex;
  work: Cancelable | undefined;
  bytesUp = 0;
  bytesDown = 0;
  readonly #startMs = performance.now();
  #headMs = 0;
  #status = 0;
  readonly #incoming: IncomingStream;
  readonly #subject: ExchangeSubject;
  readonly #owner: ExchangeOwner;
  readonly #trace: RequestTrace | undefined;
  #failed = false;
  #responded = false;
  #upgraded = false;

  constructor(
    incoming: IncomingStream,
    head: ExchangeHead,
    subject: ExchangeSubject,
    owner: ExchangeOwner,
    trace?: RequestTrace,
  ) {
    this.#incoming = incoming;
    this.head = trace?.head ?? head;
    this.#trace = trace;
    this.body = incoming.body;
    this.#subject = subject;
    this.#owner = owner;
    subject.metrics?.requestStarted();
    logRequest(subject.log, head, subject);
    countGarbage(exchangeGarbageBytes);
    // The 'close' that follows an error says all there is to know here.
    this.body.on('error', ignore).once('close', () => this.#onClose());
    // Transports stop the rest of an http request themselves, after the trailers; of an upgrade they know no end.
    if (head.kind !== 'http') this.body.once('finish', () => this.#onFinish());
  }

  respond(status: number, given: HeaderList, endStream = false): void {
    if (this.#failed || this.body.destroyed) return;
    // RFC 9110 §8.6 forbids a length there, and receivers of HTTP/2 refuse it.
    const headers = status < 200 || status === 204 ? withoutLength(given) : given;
    try {
      checkStatus(status);
      this.#send(status, headers, endStream);
    } catch (error) {
      // A head that the transport cannot carry: the visitor gets to know that the origin failed, the origin that it is over.
      if (!(error instanceof PosternError)) throw error;
      this.fail(error);
      this.work?.cancel();
      return;
    }
    this.#responded = true;
    this.#headMs = performance.now();
    this.#status = status;
    this.#upgraded = status === 101;
    this.#subject.metrics?.responded(status);
    logResponse(this.#subject.log, this.head, { status, headers }, this.#subject);
  }

  #send(status: number, headers: HeaderList, endStream: boolean): void {
    const options = endStream ? { endStream } : undefined;
    const spans = this.#trace?.responded(status);
    if (spans !== undefined)
      try {
        this.#incoming.respond({ status, headers, spans }, options);
        return;
      } catch (error) {
        // No answer fails for want of room for its trace.
        if (spans === '') throw error;
      }
    this.#incoming.respond({ status, headers }, options);
  }

  trailers(list: HeaderList): void {
    if (!this.body.destroyed) this.#incoming.trailers(list);
  }

  reject(status: number, error: PosternError): void {
    if (this.#failed || this.body.destroyed) return;
    this.#logFailure(error);
    const requestId = requestIdOf(this.head);
    const text = Buffer.from(
      `${status} ${error.message}\n${requestId === undefined ? '' : `Request id: ${requestId}\n`}`,
    );
    this.respond(status, [
      ...['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(text.length)],
      ...['Cache-Control', 'no-store', 'Postern-Failed-Hop', 'connector'],
      ...(requestId === undefined ? [] : ['Postern-Request-Id', requestId]),
    ]);
    this.body.end(text);
  }

  fail(error: PosternError): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#logFailure(error);
    if (!this.body.destroyed) this.#incoming.refuse({ message: refusalText(error) });
  }

  #logFailure(error: PosternError): void {
    const { figures, log, metrics, ruleIndex, service } = this.#subject;
    this.#trace?.failed(error);
    const { head } = this;
    const fields = {
      event: 1,
      cfRay: requestIdOf(head),
      ingressRule: ruleIndex,
      originService: service,
      dest: `${head.scheme}://${head.host}${head.path}`,
      ...error.details,
      ...errorFields(error),
    };
    if (error.kind.scope === 'visitor') {
      log.debug(fields, 'Request ended by the visitor');
      return;
    }
    metrics?.requestFailed();
    if (figures !== undefined) figures.errors += 1;
    const hop = error.details?.hop;
    if (hop === 'resolve' || hop === 'connect' || hop === 'tls') metrics?.connectFailed();
    log.error(fields, this.#responded ? 'Response broke off' : 'Request failed');
  }

  /** An upgrade was refused and the answer is out. What the visitor may still send nobody will read. */
  #onFinish(): void {
    // Not at once: over HTTP/2 the head of an answer without a body is flushed at the end of this turn, and lost by then.
    if (!this.#upgraded && !this.body.readableEnded) setImmediate(endUnread, this.body);
  }

  #onClose(): void {
    // The stream's own state does not tell: node:http2 closes one whose two sides have ended without a 'finish', and ends
    // the writable side of one that was reset.
    const givenUp = this.work?.cancel() === true;
    const unsent = this.body.writableLength > 0 || (this.#upgraded && !this.body.readableEnded);
    if ((givenUp || unsent) && !this.#failed)
      this.#subject.log.debug(
        { event: 1, cfRay: requestIdOf(this.head), ingressRule: this.#subject.ruleIndex },
        'Stream closed before its end',
      );
    this.#subject.metrics?.requestEnded();
    this.#subject.figures?.ended(this.#startMs, this.#headMs, this.#status, this.bytesUp, this.bytesDown);
    this.#trace?.ended(this.bytesUp, this.bytesDown);
    this.#subject.access?.record({
      ...{ head: this.head, status: this.#status, bytesUp: this.bytesUp, bytesDown: this.bytesDown },
      ...{
        tookMs: performance.now() - this.#startMs,
        ruleIndex: this.#subject.ruleIndex,
        service: this.#subject.service,
      },
    });
    this.#owner.exchangeEnded();
  }
}

/** RFC 9110 §15 calls what is above invalid, and Node's HTTP/2 does not send it: no protocol may decide. */
function checkStatus(status: number): void {
  if (status <= 599) return;
  const text = `The status ${status} of the response is none of HTTP.`;
  throw new PosternError('origin.failed', text, { details: { hop: 'response' } });
}

/** The text that goes to the edge where the transport has room for one. */
function refusalText(error: PosternError): string {
  if (error.kind.scope === 'visitor') return `Incoming request ended abruptly: ${describeError(error)}`;
  if (error.details?.hop === 'access') return error.message;
  return `Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared: ${describeError(error)}`;
}

function endUnread(body: Duplex): void {
  if (!body.readableEnded) body.destroy();
}

function ignore(): void {
  // Nothing to do: the 'close' event follows.
}

/** A 204 has no body and no length of one (RFC 9110 §8.6); over HTTP/2 the edge would take it for a broken answer. */
function withoutLength(headers: HeaderList): HeaderList {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name.toLowerCase() !== 'content-length') kept.push(name, headers[index + 1] ?? '');
  }
  return kept;
}
