// Dials of one edge address, over one protocol or two at once: the names, limits and local settings that go with each.
// Source: docs/protocol/edge-protocol.md §4.1 (limits), §5 (names).

import type { EdgeAddress } from '../../discovery/edge-address.ts';
import { describeError, isPosternError } from '../../errors/error.ts';
import { http2ServerName } from '../../transport/tls.ts';
import type { ConnectorConnection, Protocol } from '../../transport/transport.ts';
import type { ProtocolChoice } from '../protocol/protocol-policy.ts';
import type { EdgeTrust, LoopContext } from './loop-context.ts';
import { raceDial } from './race-dial.ts';

const serverNames: Readonly<Record<Protocol, string>> = {
  http2: http2ServerName,
  quic: 'quic.cftunnel.com',
};
/** docs/protocol/edge-protocol.md §4.1: 15 s for TCP connect or TLS, 10 s for a QUIC handshake. */
const dialTimeoutMs: Readonly<Record<Protocol, number>> = { http2: 15_000, quic: 10_000 };

export interface EdgeDial {
  readonly address: EdgeAddress;
  readonly trust: EdgeTrust;
  readonly signal: AbortSignal | undefined;
  /** Shorter than the protocol's own limit. */
  readonly timeoutMs?: number;
}

type DialContext = Pick<LoopContext, 'bindAddress' | 'clock' | 'dial' | 'postQuantum' | 'proxy' | 'sharedPort'>;

/** Long enough for a healthy TCP and TLS handshake, with a retransmission; short enough that nobody waits for what is blocked. */
const sharedPortAfterMs = 2_000;

/**
 * Over HTTP/2 the shared port is dialled as well where the edge's own does not answer soon. Throws what the transport's dial
 * of the edge's own port throws; the connection is the caller's to close.
 */
export async function dialEdge(context: DialContext, protocol: Protocol, dial: EdgeDial): Promise<ConnectorConnection> {
  const { sharedPort } = context;
  const { port } = dial.address;
  if (protocol !== 'http2' || sharedPort === undefined || sharedPort === port)
    return dialPort(context, protocol, dial, port);
  let ownError: unknown;
  try {
    return await raceDial({
      first: port,
      rival: { way: sharedPort, afterMs: sharedPortAfterMs },
      dial: (way, signal) => dialPort(context, protocol, { ...dial, signal }, way, way === sharedPort),
      onFailed: (way, error) => {
        if (way === port) ownError = error;
      },
      signal: dial.signal ?? new AbortController().signal,
      clock: context.clock,
    });
  } catch (error) {
    throw ownError ?? error;
  }
}

function dialPort(
  context: DialContext,
  protocol: Protocol,
  { address, trust, signal, timeoutMs }: EdgeDial,
  port: number,
  sharedPort = false,
): Promise<ConnectorConnection> {
  return context.dial(protocol, {
    host: address.ip,
    port,
    sharedPort,
    proxy: context.proxy,
    ca: trust.ca,
    caPin: trust.caPin,
    serverName: serverNames[protocol],
    localAddress: context.bindAddress,
    postQuantum: context.postQuantum,
    timeoutMs: timeoutMs ?? dialTimeoutMs[protocol],
    signal,
  });
}

/** Dials over the protocols of `choice`; throws what the dial that failed last throws. */
export function raceEdge(
  context: LoopContext,
  connIndex: number,
  choice: ProtocolChoice,
  target: EdgeDial & { readonly signal: AbortSignal },
): Promise<ConnectorConnection> {
  const { clock, logger, policy } = context;
  return raceDial({
    first: choice.first,
    rival: choice.rival && { way: choice.rival.protocol, afterMs: choice.rival.afterMs },
    dial: (protocol, signal) => dialEdge(context, protocol, { ...target, signal }),
    onFailed: (protocol, error) => {
      policy.failed(connIndex, protocol, error, false);
      // The other dial may take ten seconds to fail: nobody should be left without a word for so long.
      if (isPosternError(error, 'unavailable')) return;
      logger.warn(
        { connIndex, error: describeError(error) },
        `No connection over ${protocol}, still trying the other protocol`,
      );
    },
    signal: target.signal,
    clock,
  });
}
