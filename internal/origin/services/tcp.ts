// TCP-type services behind a WebSocket that ends here: tcp, ssh, rdp, smb and other URLs; and the bastion, which takes the
// destination from the request. Source: docs/protocol/ingress-and-origin.md §10.1–10.4.

import { PosternError } from '../../errors/error.ts';
import { headerValue } from '../../net/http/header-list.ts';
import { splice } from '../../net/stream/splice.ts';
import { WebSocketStream } from '../../net/websocket/websocket-stream.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import type { Service } from '../../schema/service.ts';
import { type Dial, type DialCare, type DialTarget, dial, parseTarget } from '../dial/dial.ts';
import type { Cancelable, Exchange, Origin } from '../exchange/exchange.ts';
import { requireUpgrade, upgradeHeaders } from '../websocket/websocket-accept.ts';
import { acceptSocks, type SocksTarget } from './socks.ts';

type TcpService = Extract<Service, { kind: 'tcp' | 'bastion' }>;

export class TcpOrigin implements Origin {
  readonly #service: TcpService;
  readonly #originRequest: OriginRequest;
  readonly #care: DialCare;

  constructor(service: TcpService, originRequest: OriginRequest, care: DialCare) {
    this.#service = service;
    this.#originRequest = originRequest;
    this.#care = care;
  }

  serve(exchange: Exchange): void {
    if (exchange.head.kind !== 'websocket') {
      requireUpgrade(exchange);
      return;
    }
    let target: DialTarget;
    try {
      target = destination(this.#service, exchange);
    } catch (error) {
      exchange.fail(error as PosternError);
      return;
    }
    const { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs, proxyType } = this.#originRequest;
    const settings = { connectTimeoutMs, tcpKeepAliveMs, noHappyEyeballs, halfOpen: true, ...this.#care };
    const dialing = dial(target, settings, undefined, (error, socket) => {
      exchange.work = undefined;
      if (exchange.body.destroyed) socket?.destroy();
      else if (socket === undefined)
        exchange.fail(error ?? new PosternError('internal', 'A dial ended without result.'));
      else {
        exchange.respond(101, upgradeHeaders(exchange.head.headers));
        const stream = new WebSocketStream(exchange.body);
        if (proxyType === 'socks') {
          // The connection is made already: whatever the client asks for, this is where it gets
          // (docs/protocol/ingress-and-origin.md §10.4).
          const made: SocksTarget = { open: async () => socket };
          acceptSocks(stream, made).catch(() => {
            stream.destroy();
            socket.destroy();
          });
        } else splice(stream, socket);
      }
    });
    exchange.work = new CancelDial(dialing);
  }

  async close(): Promise<void> {
    // Connections belong to their exchanges.
  }
}

class CancelDial implements Cancelable {
  readonly #dial: Dial;

  constructor(running: Dial) {
    this.#dial = running;
  }

  cancel(): boolean {
    this.#dial.cancel();
    return true;
  }
}

function destination(service: TcpService, exchange: Exchange): DialTarget {
  if (service.kind === 'bastion') return parseJump(headerValue(exchange.head.headers, 'cf-access-jump-destination'));
  if (service.port === undefined)
    throw new PosternError('origin.unreachable', `${service.text} names no port, and its scheme has no default one.`, {
      details: { hop: 'connect', dest: service.text },
    });
  return { kind: 'tcp', host: service.hostname, port: service.port };
}

/** A URL with a host, or `host:port` up to the first slash; a port must be there. */
export function parseJump(text: string | undefined): DialTarget {
  if (text === undefined || text === '')
    throw new PosternError(
      'origin.refused',
      'Did not receive final destination from client. The --destination flag is likely not set on the client side',
      { details: { hop: 'connect' } },
    );
  const authority = (/^[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#]+)/.exec(text)?.[1] ?? text).split('/')[0] ?? '';
  const target = parseTarget(authority);
  if (target === undefined)
    throw new PosternError('origin.refused', `Destination ${JSON.stringify(text)} is not host:port.`, {
      details: { hop: 'connect' },
    });
  return target;
}
