// A log stream whose client reads nothing: memory stays bounded, and the newest lines are the ones left out.

import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { it } from 'node:test';
import { clientFrame, serverFrames } from '../../../test/support/websocket-client.ts';
import { LogTap } from '../../telemetry/log-tap.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { LogSession, maxQueuedLogs } from './log-session.ts';

it('keeps at most so many lines for a client that does not read, and cuts a huge one', () => {
  const written: Buffer[] = [];
  let release: (() => void) | undefined;
  const body = new Duplex({
    writableHighWaterMark: 1,
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      release = done;
    },
  });
  const tap = new LogTap();
  const logger = createLogger({ level: 'info', format: 'json', destination: { write: () => undefined }, tap });
  const session = new LogSession({ body, tap, mayStream: () => true, onClosed: () => undefined, random: Math.random });
  body.emit('data', clientFrame(1, JSON.stringify({ type: 'start_streaming' })));
  logger.info({ huge: 'x'.repeat(200_000) }, 'y'.repeat(200_000));
  for (let index = 0; index < 10_000; index += 1) logger.info(`line ${index}`);
  assert.equal(written.length, 1);
  const [first] = serverFrames(written[0] ?? Buffer.alloc(0));
  assert.ok((first?.payload.length ?? 0) < 65_536);
  for (let index = 0; index < 2 * maxQueuedLogs; index += 1) {
    const next = release;
    release = undefined;
    next?.();
    body.emit('drain');
  }
  const messages = written.slice(1).flatMap(bytes => serverFrames(bytes).map(({ payload }) => payload.toString()));
  assert.ok(messages.length <= maxQueuedLogs, `${messages.length} lines were kept`);
  assert.match(messages[0] ?? '', /line 0"/);
  session.close('going');
  assert.equal(tap.isOpen, false);
  body.destroy();
});
