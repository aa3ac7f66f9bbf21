// The management host: requests to a name of the edge that the connector answers itself, before any ingress rule. They tell
// what this machine is, and stream its log. Source: docs/protocol/ingress-and-origin.md §17.

import { hostname } from 'node:os';
import { headerValue } from '../../net/http/header-list.ts';
import { defaultManagementHost } from '../../net/http/management-host.ts';
import { upgradeHeaders } from '../../origin/websocket/websocket-accept.ts';
import type { LogTap } from '../../telemetry/log-tap.ts';
import type { IncomingStream } from '../../transport/transport.ts';
import { type Actor, readAccessToken } from './access-token.ts';
import { LogSession, type LogSessionTimes } from './log-session.ts';

export interface RemoteManagementOptions {
  /** `--management-hostname`; the usual name is answered as well. */
  readonly host: string;
  readonly tunnelId: string;
  readonly connectorId: string;
  /** `--label`; '' = the name of the machine is told. */
  readonly label: string;
  /** Whether metrics are served. */
  readonly diagnostics: boolean;
  /** Address from which the edge is reached; undefined while it is not. */
  readonly localIp: () => string | undefined;
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly tap: LogTap;
  readonly random?: (() => number) | undefined;
  readonly times?: LogSessionTimes | undefined;
}

/** Sessions at once, streaming or not: each keeps a stream open for minutes. */
const maxSessions = 16;

export class RemoteManagement {
  readonly #options: RemoteManagementOptions;
  readonly #hosts: ReadonlySet<string>;
  readonly #sessions = new Map<LogSession, Actor>();

  constructor(options: RemoteManagementOptions) {
    this.#options = options;
    this.#hosts = new Set([defaultManagementHost, options.host.toLowerCase()]);
  }

  /** Whether a request of this Host is for the connector itself. */
  isFor(host: string): boolean {
    // Nearly every host is another: the length spares the copy.
    return host.includes('.') && this.#hosts.has(host.toLowerCase().replace(/:\d*$/, ''));
  }

  /** Serves one request of such a host. Never throws. */
  serve(incoming: IncomingStream): void {
    incoming.body.on('error', () => incoming.body.destroy());
    void this.#answer(incoming).then(answer => {
      if (answer !== undefined) send(incoming, answer);
    });
  }

  /** Ends every session. */
  close(): void {
    for (const session of [...this.#sessions.keys()]) session.close('going');
  }

  /** Undefined when the stream was taken over. Never rejects. */
  async #answer(incoming: IncomingStream): Promise<Answer | undefined> {
    const { method, path } = incoming.head;
    const actor = readAccessToken(path);
    if (typeof actor === 'string') return refusal(400, actor);
    if (actor.tunnelId.toLowerCase() !== this.#options.tunnelId.toLowerCase())
      return refusal(403, 'access_token is of another tunnel');
    const [route = ''] = path.split('?');
    if (route === '/logs') return this.#logs(incoming, actor);
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: '' };
    if (route === '/ping') return { status: 200, text: '' };
    if (route === '/host_details') return this.#hostDetails();
    if (route === '/metrics' && this.#options.diagnostics) return this.#metrics();
    return { status: 404, text: '404 page not found\n' };
  }

  #logs(incoming: IncomingStream, actor: Actor): Answer | undefined {
    const { headers, host, kind } = incoming.head;
    if (kind !== 'websocket') return { status: 426, text: 'This is a WebSocket\n' };
    if (!isAllowedOrigin(headerValue(headers, 'origin'), host)) return refusal(403, 'origin not allowed');
    if (this.#sessions.size >= maxSessions) return refusal(429, 'too many sessions');
    incoming.respond({ status: 101, headers: upgradeHeaders(headers) });
    const { random = Math.random, tap, times } = this.#options;
    const session: LogSession = new LogSession({
      body: incoming.body,
      tap,
      random,
      times,
      expiresAtMs: actor.expiresAtMs,
      mayStream: () => this.#makeWay(actor),
      onClosed: () => this.#sessions.delete(session),
    });
    this.#sessions.set(session, actor);
    return undefined;
  }

  /** One streams at a time: another actor's has the right of way, and one's own gives way. */
  #makeWay(actor: Actor): boolean {
    const streaming = [...this.#sessions].filter(([session]) => session.isStreaming);
    if (streaming.some(([, other]) => other.id !== actor.id)) return false;
    for (const [session] of streaming) session.close('replaced');
    return true;
  }

  #hostDetails(): Answer {
    const { connectorId, label, localIp } = this.#options;
    const details = {
      connector_id: connectorId,
      ip: localIp(),
      hostname: label === '' ? hostname() : `custom:${label}`,
    };
    return { status: 200, text: JSON.stringify(details), type: jsonType };
  }

  async #metrics(): Promise<Answer> {
    try {
      const { text, contentType } = await this.#options.metrics();
      return { status: 200, text, type: contentType };
    } catch {
      return { status: 500, text: 'The metrics cannot be read\n' };
    }
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Content-Type; default: plain text. */
  readonly type?: string;
}

const jsonType = 'application/json';
const plainType = 'text/plain; charset=utf-8';

/** A web page may open a WebSocket anywhere: only those of the host itself and of Cloudflare's dashboard may here. */
function isAllowedOrigin(origin: string | undefined, host: string): boolean {
  if (origin === undefined) return true;
  const url = URL.parse(origin);
  if (url === null) return false;
  const isDashboard =
    url.protocol === 'https:' && (url.hostname === 'cloudflare.com' || url.hostname.endsWith('.cloudflare.com'));
  return isDashboard || url.host.toLowerCase() === host.toLowerCase();
}

/** Number of every refusal that stock clients print. */
const refusalCode = 1001;

function refusal(status: number, message: string): Answer {
  return { status, text: JSON.stringify({ errors: [{ code: refusalCode, message }] }), type: jsonType };
}

function send(incoming: IncomingStream, { status, text, type = plainType }: Answer): void {
  const { body, head } = incoming;
  if (body.destroyed) return;
  const length = Buffer.byteLength(text);
  const isEmpty = head.method === 'HEAD' || length === 0;
  const headers = ['Content-Type', type, 'Content-Length', String(length), 'Cache-Control', 'no-store'];
  incoming.respond({ status, headers }, { endStream: isEmpty });
  if (!isEmpty) body.end(text);
}
