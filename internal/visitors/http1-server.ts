// The HTTP/1.1 side of the visitors' listeners: one node:http server parses for both, so that limits and time-outs are the
// same everywhere. Source: RFC 9112 §9.3.2 (pipelining), RFC 9110 §7.8 (upgrade), §10.1.1 (100-continue).

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { foreignCode } from '../errors/error.ts';
import type { WriteWatch } from '../net/stream/write-watch.ts';
import { Http1Response, readHttp1 } from './http1-visitor.ts';
import { maxHeaderBytes, type VisitorTimeouts } from './limits.ts';
import { refuseRequest } from './refuse.ts';
import type { HandleVisitor } from './visitor.ts';

/** Requests that one connection may have sent and not been answered: browsers do not pipeline, and others send a few. */
const maxPipelined = 64;

/**
 * A server that does not listen yet, and may also get connections by `emit('connection', socket)`. `writes` watches for
 * visitors who take nothing of their answers.
 */
export function createHttp1Server(handle: HandleVisitor, timeouts: VisitorTimeouts, writes: WriteWatch): Server {
  const server = createServer({
    headersTimeout: timeouts.headersMs,
    requestTimeout: 0,
    connectionsCheckingInterval: timeouts.headersMs / 4,
    keepAliveTimeout: timeouts.keepAliveMs,
    maxHeaderSize: maxHeaderBytes,
    noDelay: true,
    // Only WebSocket is upgraded; any other Upgrade is ignored, as RFC 9110 §7.8 allows.
    shouldUpgradeCallback: request =>
      request.headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET',
  });
  // Node would drop what is beyond, silently; they are counted in readHttp1.
  server.maxHeadersCount = 0;
  // Slow heads are looked for from this event on, which does not come by itself where only TLS is listened for.
  server.emit('listening');
  const running = new WeakMap<Duplex, number>();
  const answered = function (this: ServerResponse): void {
    const { socket } = this.req;
    running.set(socket, (running.get(socket) ?? 1) - 1);
  };
  const watchAnswer = (response: ServerResponse, socket: Duplex): void => {
    // A pipelined answer waits for those before it, not for the visitor, until it has the socket.
    writes.watch(response, () => (response.socket === null ? watchAnswer(response, socket) : socket.destroy()));
  };
  const serve = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const { socket } = message;
    const count = (running.get(socket) ?? 0) + 1;
    if (count > maxPipelined) socket.destroy();
    // Requests of a piece that was being parsed when the connection ended.
    if (socket.destroyed) return;
    running.set(socket, count);
    response.once('close', answered);
    watchAnswer(response, socket);
    begin(message, Http1Response.ordinary(response, expectsContinue), false);
  };
  const begin = (message: IncomingMessage, response: Http1Response, upgrade: boolean): void => {
    const request = readHttp1(message, upgrade);
    if (typeof request === 'number') refuseRequest(response, request);
    else handle(request, response);
  };
  server.on('request', (message, response) => serve(message, response, false));
  server.on('checkContinue', (message, response) => serve(message, response, true));
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    // What breaks shows as 'close' to whoever has the socket then.
    socket.on('error', () => undefined);
    begin(message, Http1Response.upgrading(message, socket, head), true);
  });
  server.on('clientError', answerClientError);
  return server;
}

/** A request that the parser refused: malformed, too large, or too slow. */
function answerClientError(error: Error, socket: Duplex): void {
  if (socket.destroyed || !socket.writable) return;
  socket.end(`HTTP/1.1 ${statusLine(foreignCode(error))}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  // A client that does not close its side would keep the connection for ever.
  const timer = setTimeout(() => socket.destroy(), closeWaitMs);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
}

/** Long enough for the answer to be read before a reset could overtake it. */
const closeWaitMs = 2_000;

function statusLine(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return '408 Request Timeout';
  return '400 Bad Request';
}
