// What origins and visitors send over HTTP/1.1 and WebSocket.

import assert from 'node:assert/strict';
import { PosternError } from '../../../internal/errors/error.ts';
import { WebSocketDecoder } from '../../../internal/net/websocket/websocket-decoder.ts';
import { ResponseParser } from '../../../internal/origin/message/response-parser.ts';
import { type FuzzTarget, randomChunks } from '../target.ts';

/** Everything that a parser reports for these chunks, joined so that the cuts do not show. */
function parseAll(chunks: readonly Buffer[], method: string): { events: string[]; body: string } {
  const events: string[] = [];
  let body = '';
  const parser = new ResponseParser({
    onHead: head => events.push(JSON.stringify(head)),
    onData: piece => {
      body += piece.toString('latin1');
    },
    onEnd: trailers => events.push(`end ${JSON.stringify(trailers)}`),
    onRaw: piece => {
      body += piece.toString('latin1');
    },
  });
  parser.expect(method, true);
  try {
    for (const chunk of chunks) parser.feed(chunk);
    parser.finish();
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    events.push(error.code);
  }
  return { events, body };
}

const http1: FuzzTarget = {
  name: 'HTTP/1.1 responses of origins',
  seeds: () =>
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-T: 1\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nuntil the end',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi',
      'HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ].map(text => Buffer.from(text, 'latin1')),
  run(input, random) {
    const method = random.below(4) === 0 ? 'HEAD' : 'GET';
    const whole = parseAll([Buffer.from(input)], method);
    // Where the bytes were cut must make no difference: that would be a way to smuggle.
    const pieces = parseAll(randomChunks(input, random), method);
    assert.deepEqual(pieces, whole);
  },
};

const websocket: FuzzTarget = {
  name: 'WebSocket frames of visitors',
  seeds: () =>
    [
      '8285000000006869207468',
      '0283000000006162638083000000006465668800',
      '8a00898200000000aabb8882000000' + '0003e8',
    ].map(hex => Buffer.from(hex, 'hex')),
  run(input, random) {
    const decode = (chunks: readonly Buffer[]): { text: string; failed: boolean } => {
      let text = '';
      const decoder = new WebSocketDecoder('binary', {
        onData: bytes => {
          text += bytes.toString('hex');
        },
        onPing: payload => {
          text += `ping ${payload.toString('hex')} `;
        },
        onClose: payload => {
          text += `close ${payload.toString('hex')} `;
        },
      });
      try {
        for (const chunk of chunks) decoder.feed(chunk);
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        return { text, failed: true };
      }
      return { text, failed: false };
    };
    assert.deepEqual(decode(randomChunks(input, random)), decode([Buffer.from(input)]));
  },
};

export const originTargets: readonly FuzzTarget[] = [http1, websocket];
