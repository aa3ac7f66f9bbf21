// Configurations over HTTP/2: a request with a JSON body from the edge, a JSON answer from the connector. Either end bounds
// what it reads, and how long it takes. Source: docs/protocol/edge-protocol.md.

import type { ClientHttp2Stream, Http2Stream, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { PosternError } from '../../errors/error.ts';
import { resetStream } from '../../net/http2/clean-end.ts';
import {
  type ConfigurationAnswer,
  decodeConfigurationAnswer,
  decodeConfigurationRequest,
  encodeConfigurationAnswer,
  maxAnswerBytes,
  maxRequestBytes,
  type PushedConfiguration,
} from '../../wire/stream/configuration-request.ts';
import { upgradeHeader, upgradeValues } from '../../wire/stream/upgrade-header.ts';
import type { ConnectorHandler } from '../transport.ts';
import { encodeRefusal, encodeResponseHead } from './head.ts';
import { stopUnreadRequest } from './stop-unread.ts';

/** How long a request may take to arrive: as long as an edge of ours waits for the answer. */
const arrivalMs = 10_000;

/** Raw headers of the request; `bytes` is the length of its body. */
export function configurationRequest(bytes: number): string[] {
  return [
    ...[':method', 'PUT', ':scheme', 'https', ':authority', 'config', ':path', '/'],
    ...[upgradeHeader, upgradeValues.configuration],
    ...['content-type', 'application/json', 'content-length', String(bytes)],
  ];
}

/** Sends the body on a stream that was opened with `configurationRequest`, and reads the answer. */
export async function sendConfiguration(
  stream: ClientHttp2Stream,
  body: Buffer,
  timeoutMs: number,
): Promise<ConfigurationAnswer> {
  const status = new Promise<number | undefined>(resolve => {
    stream.once('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => resolve(headers[':status']));
    stream.once('close', () => resolve(undefined));
  });
  stream.end(body);
  const text = await readText(stream, maxAnswerBytes, timeoutMs, 'The answer of the connector to a configuration');
  if ((await status) !== 200)
    throw new PosternError('protocol.malformed', `The connector answered a configuration with status ${await status}.`);
  return decodeConfigurationAnswer(text);
}

/** Reads one request, has it applied and answers. What is no such request is refused. Never throws. */
export async function serveConfiguration(
  stream: ServerHttp2Stream,
  handler: Pick<ConnectorHandler, 'configure'>,
): Promise<void> {
  let pushed: PushedConfiguration;
  try {
    pushed = decodeConfigurationRequest(await readText(stream, maxRequestBytes, arrivalMs, 'The configuration'));
  } catch {
    // The edge is told as of any request that fails here; its log has the status.
    if (stream.destroyed) return;
    stream.once('finish', stopUnreadRequest);
    stream.respond(encodeRefusal({ message: '' }), { endStream: true });
    return;
  }
  const body = encodeConfigurationAnswer(await handler.configure(pushed));
  if (stream.destroyed) return;
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(body.byteLength)];
  stream.respond(encodeResponseHead({ status: 200, headers }));
  stream.end(body);
}

/** All of a body. Rejects 'protocol.too-large', 'rpc.timeout' or 'stream.reset'; the stream is reset after the last two. */
function readText(stream: Http2Stream, maxBytes: number, timeoutMs: number, what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (error: PosternError): void => {
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new PosternError('rpc.timeout', `${what} took longer than ${timeoutMs} ms.`));
      resetStream(stream);
    }, timeoutMs);
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else fail(new PosternError('protocol.too-large', `${what} is larger than ${maxBytes} bytes.`));
    });
    stream.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString());
    });
    stream.once('close', () =>
      fail(new PosternError('stream.reset', 'The connector ended the stream before it answered.')),
    );
  });
}
