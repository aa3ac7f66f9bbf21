// The answer to a WebSocket handshake that the connector gives itself. Source: RFC 6455 §4.2.2;
// docs/protocol/ingress-and-origin.md §10.1. No subprotocol and no extension is ever accepted.

import { createHash } from 'node:crypto';
import { type HeaderList, headerValue } from '../../net/http/header-list.ts';
import type { Exchange } from '../exchange/exchange.ts';

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Response headers for a request with a `Sec-WebSocket-Key`; none without. */
export function upgradeHeaders(requestHeaders: HeaderList): HeaderList {
  const key = headerValue(requestHeaders, 'sec-websocket-key');
  if (key === undefined) return [];
  const accept = createHash('sha1').update(`${key}${guid}`, 'latin1').digest('base64');
  return ['Connection', 'Upgrade', 'Sec-Websocket-Accept', accept, 'Upgrade', 'websocket'];
}

/**
 * Answers 426 to a request that is no WebSocket one. cloudflared dials and answers 101 all the same, which gives a
 * browser a broken page; here it reads what the service wants.
 */
export function requireUpgrade(exchange: Exchange): void {
  const text = Buffer.from('This service speaks WebSocket: connect with an access client.\n');
  exchange.respond(426, [
    ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
    ...['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(text.length)],
  ]);
  exchange.body.end(text);
}
