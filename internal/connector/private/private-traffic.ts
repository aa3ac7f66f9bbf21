// The connector's end of private UDP and ICMP, one for the process: sessions and echo flows over all of its connections,
// each connection with the datagram version it announced. Source: docs/protocol/datagrams.md §2, §4.2, §5.5, §7;
// docs/protocol/edge-protocol.md §9.4.

import { createDatagramCounters, type DatagramCounters } from '../../datagram/channel/counters.ts';
import { IdleWheel } from '../../datagram/channel/idle-wheel.ts';
import { ConnectorMuxV2 } from '../../datagram/connector/connector-v2.ts';
import { ConnectorSessionsV3 } from '../../datagram/connector/connector-v3.ts';
import type { SessionEnvironment } from '../../datagram/connector/udp-session.ts';
import type { OpenUdp } from '../../datagram/socket/udp-socket.ts';
import { describeError, PosternError } from '../../errors/error.ts';
import type { EchoProxy } from '../../icmp/echo-proxy.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import type { ResolverAddress } from '../../net/address/virtual-dns.ts';
import { lowLimitWarning } from '../../net/linux/receive-buffer.ts';
import type { FlowLimiter } from '../../proxy/flow-limiter.ts';
import type { SessionService } from '../../rpc/connector-service.ts';
import { reportSessionEnd } from '../../rpc/session-events.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConnectorConnection } from '../../transport/transport.ts';
import type { DatagramVersion } from '../../wire/features.ts';
import type { UdpSessionEnd } from '../../wire/rpc/connector-calls.ts';

export interface PrivateTrafficOptions {
  readonly openUdp: OpenUdp;
  /** Shared with private TCP. */
  readonly limiter: FlowLimiter;
  readonly allowDestination: (address: IpBytes) => boolean;
  /** For the virtual DNS service; empty = the system's. */
  readonly resolvers: readonly ResolverAddress[];
  /** Undefined = echo requests are dropped and counted. */
  readonly echo: EchoProxy | undefined;
  readonly log: Logger;
}

/** What is counted for one connection index and datagram version, over all connections that had that index. */
export interface DatagramUsage {
  readonly connIndex: number;
  readonly version: DatagramVersion;
  readonly counters: DatagramCounters;
}

const nanosecondsPerMs = 1_000_000n;
/** docs/protocol/datagrams.md §4.4. */
const reportTimeoutMs = 5_000;
/** Ends of sessions being reported at once on one connection; further ones are not told, their edge finds out by itself. */
const maxReports = 64;

export class PrivateTraffic {
  /** Undefined where the system permits no ICMP. */
  readonly echo: EchoProxy | undefined;
  readonly #environment: SessionEnvironment;
  readonly #sessions: ConnectorSessionsV3;
  readonly #usage = new Map<string, DatagramUsage>();
  #isOverflowExplained = false;

  constructor({ openUdp, limiter, allowDestination, resolvers, echo, log }: PrivateTrafficOptions) {
    this.echo = echo;
    this.#environment = {
      openUdp,
      flows: { tryAcquire: () => limiter.acquire(), release: () => limiter.release() },
      allowDestination,
      resolvers,
      wheel: new IdleWheel(),
      overflowed: () => void this.#explainOverflow(),
      log,
    };
    this.#sessions = new ConnectorSessionsV3(this.#environment);
  }

  /** Everything counted so far. */
  get usage(): readonly DatagramUsage[] {
    return [...this.#usage.values()];
  }

  /** Serves the datagrams of a connection until it ends; nothing where it carries none (HTTP/2). */
  attach(connection: ConnectorConnection, connIndex: number, version: DatagramVersion): SessionService {
    const { datagrams: channel } = connection;
    if (channel === undefined) return noSessions;
    const { counters } = this.#usageOf(connIndex, version);
    const path = { channel, connIndex, packets: this.echo, counters };
    if (version === 3) {
      const mux = this.#sessions.attach(path);
      void connection.closed.then(() => mux.close());
      return refusedSessions(counters);
    }
    const mux = new ConnectorMuxV2(this.#environment, { ...path, unregister: this.#reporter(connection, connIndex) });
    void connection.closed.then(() => mux.close());
    return {
      registerUdpSession: async ({ sessionId, dstIp, dstPort, closeAfterIdleMs }) => {
        const idleHintNs = BigInt(Math.round(closeAfterIdleMs)) * nanosecondsPerMs;
        return (await mux.registerSession({ id: sessionId, address: dstIp, port: dstPort, idleHintNs })) ?? '';
      },
      unregisterUdpSession: async ({ sessionId, message }) => mux.unregisterSession(sessionId, message),
    };
  }

  /** Ends every session and echo flow. The connections have ended before, and their own sessions with them. */
  close(): void {
    this.#sessions.close();
    this.echo?.close();
  }

  /** Once: the counters tell how often. */
  async #explainOverflow(): Promise<void> {
    if (this.#isOverflowExplained) return;
    this.#isOverflowExplained = true;
    const warning = await lowLimitWarning();
    if (warning !== undefined) this.#environment.log.warn({ event: 3 }, warning);
  }

  /** Tells the edge of sessions that end here, each over a stream of its own. */
  #reporter(connection: ConnectorConnection, connIndex: number): (id: Uint8Array, message: string) => void {
    const { log } = this.#environment;
    let running = 0;
    const report = async (end: UdpSessionEnd): Promise<void> => {
      running += 1;
      try {
        const stream = await connection.openRpc?.();
        if (stream !== undefined) await reportSessionEnd(stream, end, reportTimeoutMs);
      } catch (error) {
        // The session is over all the same, and the edge has idle timers of its own.
        log.debug({ event: 3, connIndex, error: describeError(error) }, 'Unable to report the end of a session');
      } finally {
        running -= 1;
      }
    };
    return (sessionId, message) => {
      if (running < maxReports) void report({ sessionId, message });
      else log.debug({ event: 3, connIndex }, 'Too many ends of sessions to report each');
    };
  }

  #usageOf(connIndex: number, version: DatagramVersion): DatagramUsage {
    const key = `${connIndex}/${version}`;
    const known = this.#usage.get(key);
    if (known !== undefined) return known;
    const usage: DatagramUsage = { connIndex, version, counters: createDatagramCounters() };
    this.#usage.set(key, usage);
    return usage;
  }
}

const noSessions: SessionService = {
  registerUdpSession: () => Promise.resolve('this connection carries no datagrams'),
  unregisterUdpSession: () => Promise.resolve(),
};

/** docs/protocol/datagrams.md §5.5: the one answers in its result, the other with an exception. */
function refusedSessions(counters: DatagramCounters): SessionService {
  return {
    registerUdpSession: () => {
      counters.unsupportedCommands.register_udp_session += 1;
      return Promise.resolve('datagram v3 does not support RegisterUdpSession RPC');
    },
    unregisterUdpSession: () => {
      counters.unsupportedCommands.unregister_udp_session += 1;
      return Promise.reject(new PosternError('rpc.exception', 'datagram v3 does not support UnregisterUdpSession RPC'));
    },
  };
}
