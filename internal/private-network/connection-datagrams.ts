// The datagrams of every registered connection: makes the muxer of the version that the connector announced, ends it with
// the connection, and chooses one for a new flow. Source: docs/protocol/datagrams.md §2, §4.2, §4.4.

import type { ConnectorRegistry, RegisteredConnection } from '../carriers/connector-registry.ts';
import { createDatagramCounters, type DatagramCounters } from '../datagram/channel/counters.ts';
import type { EdgeEcho } from '../datagram/edge/edge-echo.ts';
import type { EdgeMux } from '../datagram/edge/edge-mux.ts';
import { EdgeMuxV2, type SessionCalls } from '../datagram/edge/edge-v2.ts';
import { EdgeMuxV3 } from '../datagram/edge/edge-v3.ts';
import { describeError, PosternError } from '../errors/error.ts';
import { withDeadline } from '../net/time/deadline.ts';
import { ConnectorClient } from '../rpc/connector-client.ts';
import { serveSessionEvents } from '../rpc/session-events.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';

export interface ConnectionDatagramsOptions {
  readonly registry: ConnectorRegistry;
  /** Takes the ICMP packets of every connection. */
  readonly echo: EdgeEcho;
  readonly logger: Logger;
}

/** A connector serves such a call for 5 s (docs/protocol/edge-protocol.md §7.4). */
const callTimeoutMs = 5_000;
const nanosecondsPerMs = 1_000_000n;

export class ConnectionDatagrams {
  readonly #options: ConnectionDatagramsOptions;
  readonly #muxes = new Map<RegisteredConnection, EdgeMux>();
  readonly #unsubscribe: () => void;
  readonly #past = createDatagramCounters();
  #next = 0;

  /** Follows the registry, beginning with what is registered already. */
  constructor(options: ConnectionDatagramsOptions) {
    this.#options = options;
    for (const registered of options.registry.all()) this.#attach(registered);
    this.#unsubscribe = options.registry.subscribe(event => {
      if (event.kind === 'registered') this.#attach(event.registered);
      else this.#detach(event.registered);
    });
  }

  /** Connections that carry datagrams. */
  get size(): number {
    return this.#muxes.size;
  }

  /** What the connections of now and of before counted together. */
  totals(): Pick<DatagramCounters, 'dropped' | 'droppedPackets' | 'malformed'> {
    const sum = addCounters(createDatagramCounters(), this.#past);
    for (const mux of this.#muxes.values()) addCounters(sum, mux.counters);
    return sum;
  }

  /** The connection of the tunnel with the fewest sessions; equals take turns. Undefined when none carries datagrams. */
  pick(tunnelId: TunnelId, accountTag: string): EdgeMux | undefined {
    const connections = this.#options.registry.connectionsOf(tunnelId);
    this.#next = (this.#next + 1) % 0x3fff_ffff;
    let best: EdgeMux | undefined;
    for (let step = 0; step < connections.length; step += 1) {
      const registered = connections[(this.#next + step) % connections.length];
      if (registered === undefined || registered.accountTag !== accountTag) continue;
      const mux = this.#muxes.get(registered);
      if (mux?.open !== true) continue;
      if (best === undefined || mux.counters.activeSessions < best.counters.activeSessions) best = mux;
    }
    return best;
  }

  /** Ends every muxer; connections live on. */
  close(): void {
    this.#unsubscribe();
    for (const mux of this.#muxes.values()) mux.close();
    this.#muxes.clear();
  }

  #attach(registered: RegisteredConnection): void {
    const { connection, connIndex } = registered;
    const { datagrams, openRpc } = connection;
    if (datagrams === undefined || openRpc === undefined) return;
    const { echo, logger } = this.#options;
    let mux: EdgeMux;
    if (registered.datagramVersion === 3) {
      mux = new EdgeMuxV3(datagrams, connIndex, registered.features);
    } else {
      const v2 = new EdgeMuxV2(datagrams, connIndex, sessionCalls(openRpc), logger);
      connection.acceptRpc(stream => {
        void serveSessionEvents(stream, ({ sessionId, message }) => v2.sessionEnded(sessionId, message), {
          onError: error =>
            logger.debug({ connection: registered.id, error: describeError(error) }, 'Call of a connector failed'),
        });
      });
      mux = v2;
    }
    mux.onPacket(echo);
    this.#muxes.set(registered, mux);
  }

  #detach(registered: RegisteredConnection): void {
    const mux = this.#muxes.get(registered);
    this.#muxes.delete(registered);
    if (mux === undefined) return;
    mux.close();
    addCounters(this.#past, mux.counters);
  }
}

/** Drops and malformed datagrams, added to those of `sum`, which is returned. */
function addCounters(sum: DatagramCounters, more: DatagramCounters): DatagramCounters {
  addEach(sum.dropped, more.dropped);
  addEach(sum.droppedPackets, more.droppedPackets);
  addEach(sum.malformed, more.malformed);
  return sum;
}

function addEach<K extends string>(sum: Record<K, number>, more: Readonly<Record<K, number>>): void {
  for (const key in more) sum[key] += more[key];
}

/** The connector's session manager over one connection: a stream for each call, since a stream is served for 5 s only. */
function sessionCalls(openRpc: NonNullable<EdgeConnection['openRpc']>): SessionCalls {
  const call = async <T>(body: (client: ConnectorClient) => Promise<T>): Promise<T> => {
    const client = new ConnectorClient(await openInTime(openRpc), { timeoutMs: callTimeoutMs });
    try {
      return await body(client);
    } finally {
      client.close();
    }
  };
  return {
    register: ({ id, address, port, idleHintNs }) =>
      call(async client => {
        const { error } = await client.registerUdpSession({
          sessionId: id,
          dstIp: address,
          dstPort: port,
          closeAfterIdleMs: Number(idleHintNs / nanosecondsPerMs),
          traceContext: '',
        });
        return error === '' ? undefined : error;
      }),
    unregister: (id, message) => call(client => client.unregisterUdpSession({ sessionId: id, message })),
  };
}

/** A stream may have to wait for the peer's stream limit. */
async function openInTime(openRpc: NonNullable<EdgeConnection['openRpc']>) {
  const opening = openRpc();
  const late = (): PosternError => new PosternError('rpc.timeout', `No stream for a call within ${callTimeoutMs} ms`);
  try {
    return await withDeadline(opening, callTimeoutMs, late);
  } catch (error) {
    // Nobody waits for the stream any more.
    opening.then(
      stream => stream.destroy(),
      () => undefined,
    );
    throw error;
  }
}
