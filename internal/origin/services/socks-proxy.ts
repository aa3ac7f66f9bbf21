// The `socks-proxy` service: SOCKS5 over a WebSocket to wherever the rule's ipRules allow. A name is resolved once and
// the address that was judged is the one that is dialled. Source: docs/protocol/ingress-and-origin.md §10.4.

import { lookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeError, PosternError } from '../../errors/error.ts';
import { parseIp } from '../../net/address/ip.ts';
import { WebSocketStream } from '../../net/websocket/websocket-stream.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type DialCare, dial } from '../dial/dial.ts';
import type { Exchange, Origin } from '../exchange/exchange.ts';
import { requireUpgrade, upgradeHeaders } from '../websocket/websocket-accept.ts';
import { IpRules } from './ip-rules.ts';
import { acceptSocks, SocksDenied, type SocksTarget } from './socks.ts';

export class SocksProxyOrigin implements Origin, SocksTarget {
  readonly #rules: IpRules;
  readonly #originRequest: OriginRequest;
  readonly #log: Logger;
  readonly #care: DialCare;

  /** `allow` of `care` is asked beside the rules. */
  constructor(originRequest: OriginRequest, log: Logger, care: DialCare) {
    this.#care = care;
    this.#rules = new IpRules(originRequest.ipRules);
    this.#originRequest = originRequest;
    this.#log = log;
  }

  serve(exchange: Exchange): void {
    if (exchange.head.kind !== 'websocket') {
      requireUpgrade(exchange);
      return;
    }
    exchange.respond(101, upgradeHeaders(exchange.head.headers));
    const stream = new WebSocketStream(exchange.body);
    // The reply has told the client; the stream ends once it is out.
    stream.on('error', error => this.#log.debug({ error: describeError(error) }, 'SOCKS stream broke off'));
    acceptSocks(stream, this).catch(error => {
      this.#log.debug({ error: describeError(error) }, 'SOCKS request not served');
      if (stream.writableEnded) endAfterFlush(exchange.body);
      else stream.destroy();
    });
  }

  async open(host: string, port: number): Promise<Socket> {
    const address = await resolve(host);
    const bytes = parseIp(address);
    if (bytes === undefined || !this.#rules.allows(bytes, port))
      throw new SocksDenied(`${host}:${port} (${address}) is not allowed by ipRules`);
    if (this.#care.allow?.(bytes, port) === false)
      throw new SocksDenied(`${host}:${port} (${address}) is not allowed here`);
    const { connectTimeoutMs, tcpKeepAliveMs } = this.#originRequest;
    const { promise, resolve: settle, reject } = Promise.withResolvers<Socket>();
    const settings = { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs: true, halfOpen: true, ...this.#care };
    dial({ kind: 'tcp', host: address, port }, settings, undefined, (error, socket) => {
      if (socket === undefined) reject(error ?? new PosternError('internal', 'A dial ended without result.'));
      else settle(socket);
    });
    return promise;
  }

  async close(): Promise<void> {
    // Connections belong to their exchanges.
  }
}

/** The refusal goes out, whatever the client still sends. */
function endAfterFlush(body: Duplex): void {
  if (body.writableFinished) body.destroy();
  else body.once('finish', () => body.destroy());
}

async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new SocksDenied(`${host} does not resolve`, { cause });
  }
}
