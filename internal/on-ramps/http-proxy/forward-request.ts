// A request to the HTTP proxy for an http:// URL (`http_proxy` of apt, wget, curl, browsers): one flow a request, through
// node:http's client. Source: RFC 9112 §3.2.2 (absolute form), RFC 9110 §7.6 (forwarding).

import { type ClientRequest, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { PosternError } from '../../errors/error.ts';
import { withoutHopByHop } from '../../net/http/hop-by-hop.ts';
import { countChunk } from '../../net/stream/young-garbage.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import { type PrivateTarget, parsePrivateTarget } from '../../private-network/routes/private-host.ts';
import type { Visitor } from '../../private-network/visitor.ts';

export interface ForwardOptions {
  /** Who asks; rejects when he may not. */
  readonly admit: () => Promise<Visitor>;
  readonly network: PrivateNetwork;
}

/** Nothing moves for so long: a client or a server that vanished. */
export const idleMs = 300_000;

/**
 * Serves the request to its end. Rejects with the reason when nothing was answered yet: 'usage.invalid' for a target that is
 * no http:// URL, what `admit` and `PrivateNetwork.openTcp` reject with, 'origin.failed' when the server breaks off.
 */
export async function forwardRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { admit, network }: ForwardOptions,
): Promise<void> {
  const visitor = await admit();
  const target = parseTarget(request.url ?? '');
  const { stream, flow } = await network.openTcp(visitor, target.host, target.port, request.socket);
  let [up, down] = [0, 0];
  flow.measure = () => ({ up, down });
  const headers = [...withoutHopByHop(request.rawHeaders)];
  if (request.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked');
  let outgoing: ClientRequest;
  try {
    outgoing = httpRequest({
      createConnection: () => stream,
      method: request.method ?? 'GET',
      path: target.path,
      headers: withHost(headers, target.authority),
      timeout: idleMs,
    });
  } catch (cause) {
    stream.destroy();
    throw new PosternError('usage.invalid', 'The path holds a character that no request may hold.', { cause });
  }
  outgoing.once('timeout', () => outgoing.destroy(new Error('nothing moved')));
  response.once('close', () => outgoing.destroy());
  request.on('data', (chunk: Buffer) => {
    countChunk(chunk);
    up += chunk.length;
  });
  pipeline(request, outgoing, ignore);
  await new Promise<void>((resolve, reject) => {
    outgoing.once('error', cause =>
      reject(new PosternError('origin.failed', 'The server broke off before it answered.', { cause })),
    );
    outgoing.once('response', incoming => {
      incoming.on('data', (chunk: Buffer) => {
        countChunk(chunk);
        down += chunk.length;
      });
      response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, [...withoutHopByHop(incoming.rawHeaders)]);
      // A body that breaks off must not look whole.
      pipeline(incoming, response, ignore);
      resolve();
    });
  });
}

interface Target extends PrivateTarget {
  readonly authority: string;
  readonly path: string;
}

/** `http://HOST[:PORT]/path?query`. */
function parseTarget(url: string): Target {
  const [, authority = '', rest = ''] = /^http:\/\/([^/?#@\s]{1,300})((?:[/?][^#\s]*)?)$/i.exec(url) ?? [];
  const target = parsePrivateTarget(authority, 80);
  if (target === undefined)
    throw new PosternError(
      'usage.invalid',
      'This proxy serves CONNECT HOST:PORT and requests for http://HOST[:PORT]/…',
    );
  return { ...target, authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** The authority of the URL counts, whatever Host says (RFC 9112 §3.2.2). */
function withHost(headers: readonly string[], authority: string): string[] {
  const kept = ['Host', authority];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name.toLowerCase() !== 'host') kept.push(name, headers[index + 1] ?? '');
  }
  return kept;
}

function ignore(): void {
  // Both ends are destroyed by then; the client sees that its answer is not whole.
}
