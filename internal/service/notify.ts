// Tells the service manager how the program is: datagrams of `NAME=VALUE` lines to the socket that systemd names. Without such
// a socket nothing is loaded and nothing is sent. Source: sd_notify(3), sd_watchdog_enabled(3), unix(7).

import { describeError, PosternError } from '../errors/error.ts';
import { type LibC, linuxAbi, messageDontWait, openLibC, socketType } from '../net/linux/libc.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface NotifyOptions {
  /** The process's variables: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly pid: number;
  readonly logger: Logger;
}

/** States: starting → ready ⇄ reloading → stopping. What does not fit the state is left out. Nothing here throws or waits. */
export interface ServiceNotifier extends Disposable {
  /** It serves now. The first call ends the start of the service. `status` is a line for `systemctl status`. */
  ready(status: string): void;
  /** Another line for `systemctl status`. */
  status(text: string): void;
  /** Its configuration is read again; `reloaded` follows whatever comes of it. */
  reloading(): void;
  reloaded(): void;
  /** It stops, which may take up to `timeoutMs`. */
  stopping(status: string, timeoutMs: number): void;
}

const unix = 1;
/** sun_path of Linux, in bytes. */
const maxPathBytes = 108;
/** The manager's own limit for a status is larger; a line on a terminal is not. */
const maxStatusLength = 200;
/** What closing takes after the last request: listeners, the store, the log. */
const closeMs = 15_000;

/** Opens the socket. Where that is not possible it says so in the log and gives a notifier without effect. */
export async function openNotifier(options: NotifyOptions): Promise<ServiceNotifier> {
  const { env, platform, logger } = options;
  const path = env.NOTIFY_SOCKET;
  if (path === undefined || path === '' || platform !== 'linux') return silentNotifier;
  try {
    const address = encodeUnixAddress(path);
    return new SystemdNotifier(await openLibC(), address, watchdogMs(options), logger);
  } catch (error) {
    logger.warn({ error: describeError(error) }, 'The service manager cannot be told that this service is ready');
    return silentNotifier;
  }
}

const nothing = (): void => undefined;
const silentNotifier: ServiceNotifier = {
  ready: nothing,
  status: nothing,
  reloading: nothing,
  reloaded: nothing,
  stopping: nothing,
  [Symbol.dispose]: nothing,
};

class SystemdNotifier implements ServiceNotifier {
  readonly #libc: LibC;
  readonly #address: Uint8Array;
  readonly #logger: Logger;
  readonly #watchdog: NodeJS.Timeout | undefined;
  #fd: number;
  #state: 'starting' | 'ready' | 'reloading' | 'stopping' = 'starting';
  #failed = false;

  constructor(libc: LibC, address: Uint8Array, periodMs: number | undefined, logger: Logger) {
    this.#libc = libc;
    this.#address = address;
    this.#logger = logger;
    this.#fd = libc.socket(unix, socketType.datagram | linuxAbi.typeFlags, 0);
    if (this.#fd < 0) throw new PosternError('unavailable', `socket: ${libc.strerror(libc.errno())}`);
    if (periodMs === undefined) return;
    // From the event loop that carries the traffic: a loop that stands still says nothing, and the manager restarts it.
    this.#watchdog = setInterval(() => this.#send('WATCHDOG=1'), periodMs).unref();
    this.#send('WATCHDOG=1');
  }

  ready(status: string): void {
    if (this.#state === 'stopping') return;
    this.#state = 'ready';
    this.#send('READY=1', statusLine(status));
  }

  status(text: string): void {
    // What is waited for is the last word.
    if (this.#state !== 'stopping') this.#send(statusLine(text));
  }

  reloading(): void {
    if (this.#state !== 'ready') return;
    this.#state = 'reloading';
    // The manager tells this reload from earlier ones by the time, on the clock that Node's has.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
  }

  reloaded(): void {
    if (this.#state !== 'reloading') return;
    this.#state = 'ready';
    this.#send('READY=1');
  }

  stopping(status: string, timeoutMs: number): void {
    this.#state = 'stopping';
    // The unit's own limit may be shorter than the grace period, which is the operator's word as well.
    this.#send('STOPPING=1', statusLine(status), `EXTEND_TIMEOUT_USEC=${(timeoutMs + closeMs) * 1_000}`);
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    clearInterval(this.#watchdog);
    this.#libc.close(this.#fd);
    this.#fd = -1;
  }

  #send(...lines: readonly string[]): void {
    if (this.#fd < 0) return;
    const bytes = Buffer.from(lines.join('\n'));
    const { length } = this.#address;
    const sent = this.#libc.sendto(this.#fd, bytes, bytes.length, messageDontWait, this.#address, length);
    if (sent >= 0 || this.#failed) return;
    this.#failed = true;
    const reason = this.#libc.strerror(this.#libc.errno());
    this.#logger.warn({ error: reason }, 'The service manager does not take notifications');
  }
}

function statusLine(text: string): string {
  return `STATUS=${text.replace(/\s+/g, ' ').slice(0, maxStatusLength)}`;
}

/**
 * sockaddr_un: the family (16 bits, the machine's order, little-endian on all that we run on), then the path with a NUL behind,
 * or a NUL and an abstract name that ends with the address. Throws 'unavailable' for what is neither.
 */
export function encodeUnixAddress(path: string): Uint8Array {
  const isAbstract = path.startsWith('@');
  if (!isAbstract && !path.startsWith('/'))
    throw new PosternError('unavailable', `NOTIFY_SOCKET ${JSON.stringify(path)} is no path and no abstract name`);
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > maxPathBytes)
    throw new PosternError('unavailable', `NOTIFY_SOCKET is longer than ${maxPathBytes - 1} bytes`);
  return Buffer.concat([Buffer.from([unix, 0]), name]);
}

/** Half of what the manager gives, as sd_watchdog_enabled(3) advises; undefined when it watches nobody, or another process. */
function watchdogMs({ env, pid }: NotifyOptions): number | undefined {
  const period = Number(env.WATCHDOG_USEC);
  const isOurs = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === '' || Number(env.WATCHDOG_PID) === pid;
  // Timers of Node take no more than 2^31 ms.
  if (!isOurs || !Number.isSafeInteger(period) || period < 1_000) return undefined;
  return Math.min(Math.floor(period / 2_000), 2 ** 31 - 1);
}
