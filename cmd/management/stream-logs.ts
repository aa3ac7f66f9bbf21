// The client of a log stream: a WebSocket of JSON messages. Before it, one plain request asks whether there will be an answer,
// because a WebSocket that is refused tells its client nothing. Source: docs/protocol/commands-and-api.md §17;
// docs/protocol/ingress-and-origin.md §17.

import * as z from 'zod';
import { foreignCode, PosternError } from '../../internal/errors/error.ts';
import { openWebAgent, requestWeb, type WebAnswer } from '../../internal/net/http/web-request.ts';
import type { ForwardProxy } from '../../internal/net/proxy/forward-proxy.ts';
import { systemRoots } from '../../internal/net/trust/system-roots.ts';
import { printable, printableLine } from '../../internal/telemetry/printable.ts';
import type { CommandContext } from '../context.ts';
import { version } from '../version-line.ts';

export const logEvents = ['cloudflared', 'http', 'tcp', 'udp'] as const;

export interface LogStreamOptions {
  /** Of the management host; its path is not looked at. */
  readonly url: URL;
  readonly token: string;
  readonly connectorId: string | undefined;
  readonly filters: { readonly events: readonly string[]; readonly level: string; readonly sampling: number };
  /** PEM of CAs trusted beside the system's. */
  readonly extraCa: readonly string[];
  readonly proxy: ForwardProxy | undefined;
  /** Lines of JSON in place of text. */
  readonly json: boolean;
}

const askTimeoutMs = 15_000;
/** How long the other end may take to say goodbye. */
const closeMs = 1_000;
/** Bytes that wait for a reader of ours who takes nothing, such as a pager; lines beyond are left out. */
const maxWaitingBytes = 4 * 1024 * 1024;
const normalClosure = 1000;

const logSchema = z.object({
  time: z.string(),
  level: z.string(),
  message: z.string().default(''),
  /** Stock connectors leave the first of the kinds out. */
  event: z.string().default(logEvents[0]),
  fields: z.record(z.string(), z.unknown()).nullish(),
});
const messageSchema = z.object({ type: z.literal('logs'), logs: z.array(logSchema) });
const refusalSchema = z.object({ errors: z.array(z.object({ code: z.number(), message: z.string() })).min(1) });

/** Writes lines to stdout until the user ends it. Throws 'api.failed' or 'api.unauthorized' when the other end does. */
export async function streamLogs(options: LogStreamOptions, context: CommandContext): Promise<void> {
  const stop = new AbortController();
  using signals = new DisposableStack();
  for (const name of ['SIGINT', 'SIGTERM'] as const) signals.defer(context.onSignal(name, () => stop.abort()));
  const ca = [...systemRoots(), ...options.extraCa];
  await ask(options, ca, stop.signal);
  if (stop.signal.aborted) return;
  const { WebSocket } = await import('undici');
  const url = withPath(options, '/logs');
  const isSecure = url.protocol === 'https:';
  url.protocol = isSecure ? 'wss:' : 'ws:';
  await using agent = await openWebAgent({ ca, isSecure, proxy: options.proxy, signal: stop.signal });
  const socket = new WebSocket(url, { dispatcher: agent.dispatcher, headers: { 'User-Agent': `postern/${version}` } });
  const closed = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
  const events = options.filters.events.length === 0 ? {} : { events: options.filters.events };
  const { level, sampling } = options.filters;
  socket.addEventListener('open', () => {
    socket.send(JSON.stringify({ type: 'start_streaming', filters: { ...events, level, sampling } }));
  });
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string' && context.stdout.writableLength < maxWaitingBytes) write(data, options.json, context);
  });
  socket.addEventListener('close', ({ code, reason }) => closed.resolve({ code, reason }));
  // What went wrong is in the close that follows.
  socket.addEventListener('error', () => undefined);
  const onStop = (): void => {
    socket.close(normalClosure);
    setTimeout(() => closed.resolve({ code: normalClosure, reason: '' }), closeMs).unref();
  };
  stop.signal.addEventListener('abort', onStop, { once: true });
  if (stop.signal.aborted) onStop();
  const { code, reason } = await closed.promise;
  if (code === normalClosure || stop.signal.aborted) return;
  throw new PosternError('api.failed', `received remote closure: (${code}) ${printable(reason)}`.trimEnd());
}

/** Asks the chosen connector whether it is there, with the token. */
async function ask(options: LogStreamOptions, ca: readonly string[], stop: AbortSignal): Promise<void> {
  const { host } = options.url;
  let answer: WebAnswer;
  try {
    answer = await requestWeb({
      url: withPath(options, '/ping').href,
      headers: { 'User-Agent': `postern/${version}` },
      ca,
      proxy: options.proxy,
      signal: AbortSignal.any([stop, AbortSignal.timeout(askTimeoutMs)]),
      maxBytes: 64 * 1024,
    });
  } catch (cause) {
    if (stop.aborted) return;
    // The URL in some of these errors holds the token.
    const reason = foreignCode(cause) ?? (cause instanceof Error ? cause.name : 'unknown');
    throw new PosternError(
      'api.failed',
      `The management host ${host} cannot be asked (${reason}); see --management-hostname`,
    );
  }
  if (answer.status === 200) return;
  if (answer.status === 530) {
    throw new PosternError(
      'api.failed',
      'no cloudflared connector available or reachable via management request (a recent version of cloudflared is required ' +
        'to use streaming logs)',
    );
  }
  const refused = refusalSchema.safeParse(parseJson(answer.text));
  const [first] = refused.data?.errors ?? [];
  if (first !== undefined) {
    const text = `management request failed validation: (${first.code}) ${printable(first.message)}`;
    throw new PosternError(answer.status === 401 || answer.status === 403 ? 'api.unauthorized' : 'api.failed', text);
  }
  throw new PosternError(
    'api.failed',
    `The management host ${host} answered ${answer.status}; see --management-hostname`,
  );
}

function withPath({ url, token, connectorId }: LogStreamOptions, path: string): URL {
  const made = new URL(path, url);
  made.searchParams.set('access_token', token);
  if (connectorId !== undefined) made.searchParams.set('connector_id', connectorId);
  return made;
}

function write(text: string, json: boolean, { stdout }: CommandContext): void {
  const message = messageSchema.safeParse(parseJson(text));
  // Kinds of messages to come are not ours to print.
  for (const log of message.data?.logs ?? []) {
    const { time, level, event, message: line, fields } = log;
    if (json) stdout.write(`${JSON.stringify(log)}\n`);
    else stdout.write(`${printableLine(`${time} ${level} ${event} ${line} ${JSON.stringify(fields ?? {})}`)}\n`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
