// One log stream of the management host: a WebSocket of JSON messages on which a client starts and stops the log of this
// connector. Source: docs/protocol/ingress-and-origin.md §17; RFC 6455 §5, §7.4.
//
//   client → start_streaming (filters), stop_streaming
//   server → logs, one line a message; a ping every 15 s
//
//   waiting ─start→ streaming ─stop→ waiting ─5 min→ closed (4003)

import type { Duplex } from 'node:stream';
import * as z from 'zod';
import { WebSocketDecoder } from '../../net/websocket/websocket-decoder.ts';
import { encodeClose, encodeFrame, frameKinds } from '../../net/websocket/websocket-frame.ts';
import type { LineLevel } from '../../telemetry/log-level.ts';
import type { LogTap } from '../../telemetry/log-tap.ts';

export interface LogSessionOptions {
  /** After the upgrade; the session's to close. */
  readonly body: Duplex;
  readonly tap: LogTap;
  /** Whether this session may stream now; it ends an older one of the same actor. */
  readonly mayStream: () => boolean;
  readonly onClosed: () => void;
  /** When the token's time is over, and the session with it; undefined = never. */
  readonly expiresAtMs?: number | undefined;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Default: those of the recorded connector. */
  readonly times?: LogSessionTimes | undefined;
}

export interface LogSessionTimes {
  readonly idleMs: number;
  readonly pingMs: number;
}

/** Those of the recorded connector. */
const recordedTimes: LogSessionTimes = { idleMs: 5 * 60_000, pingMs: 15_000 };
/** Messages that wait for a client that reads slowly; what comes beyond is dropped, as the recorded connector does. */
export const maxQueuedLogs = 30;
/** A start with all filters has some 150 bytes. */
const maxEventBytes = 4_096;
/** What a frame of ours holds at most, less its envelope; a longer line loses its fields, and then its end. */
const maxLogBytes = 60_000;

/** Node takes longer waits for none; no session lives so long. */
const longestWaitMs = 2 ** 31 - 1;

const eventNames = ['cloudflared', 'http', 'tcp', 'udp'] as const;

const clientEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start_streaming'),
    filters: z
      .object({
        events: z.array(z.enum(eventNames)).nullish(),
        level: z.enum(['debug', 'info', 'warn', 'error', 'fatal']).nullish(),
        sampling: z.number().min(0).max(1).nullish(),
      })
      .nullish(),
  }),
  z.object({ type: z.literal('stop_streaming') }),
]);

const closes = {
  going: [1001, 'the connector stops'],
  malformed: [1003, 'malformed event'],
  tooLarge: [1009, 'event too large'],
  notStarted: [4001, 'expected start streaming as first event'],
  limit: [4002, 'limit exceeded for streaming sessions'],
  expired: [1008, 'access_token has expired'],
  idle: [4003, 'session was idle for too long'],
  replaced: [1000, 'another session of the same user took its place'],
} as const;
export type CloseReason = keyof typeof closes;

export class LogSession {
  readonly #options: LogSessionOptions;
  readonly #decoder: WebSocketDecoder;
  readonly #pinger: NodeJS.Timeout;
  readonly #times: LogSessionTimes;
  readonly #expiry: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #event: Buffer = Buffer.alloc(0);
  #stopListening: (() => void) | undefined;
  #wasStarted = false;
  #isClosed = false;
  #queue: Buffer[] = [];

  constructor(options: LogSessionOptions) {
    this.#options = options;
    this.#times = options.times ?? recordedTimes;
    this.#decoder = new WebSocketDecoder('text', {
      onData: bytes => {
        if (this.#event.length + bytes.length > maxEventBytes) this.close('tooLarge');
        else this.#event = Buffer.concat([this.#event, bytes]);
      },
      onMessage: () => this.#onEvent(),
      onPing: payload => this.#send(encodeFrame(frameKinds.pong, payload)),
      onClose: () => this.#end(encodeClose(1000, '')),
    });
    const { body, expiresAtMs } = options;
    if (expiresAtMs !== undefined) {
      const leftMs = Math.min(Math.max(0, expiresAtMs - Date.now()), longestWaitMs);
      this.#expiry = setTimeout(() => this.close('expired'), leftMs).unref();
    }
    body.on('data', (chunk: Buffer) => this.#feed(chunk));
    body.on('drain', () => this.#flush());
    body.on('error', () => body.destroy());
    body.once('end', () => this.#end());
    body.once('close', () => this.#end());
    this.#pinger = setInterval(
      () => this.#send(encodeFrame(frameKinds.ping, Buffer.alloc(0))),
      this.#times.pingMs,
    ).unref();
    this.#waitForStart();
  }

  get isStreaming(): boolean {
    return this.#stopListening !== undefined;
  }

  /** Idempotent. */
  close(reason: CloseReason): void {
    const [code, text] = closes[reason];
    this.#end(encodeClose(code, text));
  }

  #feed(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#decoder.feed(chunk);
    } catch {
      // Not WebSocket: RFC 6455 §7.1.7.
      this.#end(encodeClose(1002, ''));
    }
  }

  #onEvent(): void {
    if (this.#isClosed) return;
    const text = this.#event.toString('utf8');
    this.#event = Buffer.alloc(0);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      this.close('malformed');
      return;
    }
    const parsed = clientEventSchema.safeParse(json);
    if (!parsed.success) this.close('malformed');
    else if (parsed.data.type === 'stop_streaming') this.#stop();
    else this.#start(parsed.data.filters ?? {});
  }

  #start(filters: NonNullable<(z.output<typeof clientEventSchema> & { type: 'start_streaming' })['filters']>): void {
    if (!this.isStreaming && !this.#options.mayStream()) {
      this.close('limit');
      return;
    }
    this.#wasStarted = true;
    clearTimeout(this.#idle);
    this.#stopListening?.();
    const { random, tap } = this.#options;
    const sampling = filters.sampling ?? 1;
    const wanted = filters.events?.length ? new Set<string>(filters.events) : undefined;
    this.#stopListening = tap.listen(filters.level ?? 'debug', (line, level) => {
      if (sampling < 1 && random() >= sampling) return;
      // Nothing is parsed for a client that takes no more.
      if (this.#queue.length >= maxQueuedLogs) return;
      const log = readLine(line, level);
      if (wanted?.has(log.event) !== false) this.#send(encodeLog(log));
    });
  }

  #stop(): void {
    if (!this.#wasStarted) {
      this.close('notStarted');
      return;
    }
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#waitForStart();
  }

  #waitForStart(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close('idle'), this.#times.idleMs).unref();
  }

  #send(frame: Buffer): void {
    const { body } = this.#options;
    if (this.#isClosed || body.destroyed) return;
    if (!body.writableNeedDrain) body.write(frame);
    else if (this.#queue.length < maxQueuedLogs) this.#queue.push(frame);
  }

  #flush(): void {
    const { body } = this.#options;
    const waiting = this.#queue;
    this.#queue = [];
    for (const frame of waiting) {
      if (body.writableNeedDrain) this.#queue.push(frame);
      else body.write(frame);
    }
  }

  #end(last?: Buffer): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#expiry);
    clearInterval(this.#pinger);
    this.#stopListening?.();
    this.#stopListening = undefined;
    const { body } = this.#options;
    // After a close frame there is nothing more to read.
    body.resume();
    if (!body.destroyed) body.end(last);
    this.#options.onClosed();
  }
}

interface StreamedLog {
  readonly time: string;
  readonly level: LineLevel;
  readonly message: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function readLine(line: string, level: LineLevel): StreamedLog {
  const { level: _level, time, message, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
  return {
    time: String(time),
    level,
    message: String(message ?? ''),
    event: eventNames[Number(event ?? 0)] ?? eventNames[0],
    fields,
  };
}

function encodeLog(log: StreamedLog): Buffer {
  const encode = (shown: StreamedLog): Buffer => Buffer.from(JSON.stringify({ type: 'logs', logs: [shown] }));
  const whole = encode(log);
  if (whole.length <= maxLogBytes) return encodeFrame(frameKinds.text, whole);
  // A character takes six bytes at most, escaped.
  const message = log.message.slice(0, maxLogBytes / 12);
  return encodeFrame(frameKinds.text, encode({ ...log, message, fields: {} }));
}
