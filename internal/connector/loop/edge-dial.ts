// Dials of one edge address, over one protocol or two at once: the names, limits and local settings that go with each.
// Source: docs/protocol/edge-protocol.md §4.1 (limits), §5 (names).

import type { EdgeAddress } from '../../discovery/edge-address.ts';
import { describeError, isPosternError } from '../../errors/error.ts';
import type { ConnectorConnection, Protocol } from '../../transport/transport.ts';
import type { ProtocolChoice } from '../protocol/protocol-policy.ts';
import type { EdgeTrust, LoopContext } from './loop-context.ts';
import { raceDial } from './race-dial.ts';

const serverNames: Readonly<Record<Protocol, string>> = {
  http2: 'h2.cftunnel.com',
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

/** Throws what the transport's dial throws; the connection is the caller's to close. */
export function dialEdge(
  context: Pick<LoopContext, 'bindAddress' | 'dial' | 'postQuantum'>,
  protocol: Protocol,
  { address, trust, signal, timeoutMs }: EdgeDial,
): Promise<ConnectorConnection> {
  return context.dial(protocol, {
    host: address.ip,
    port: address.port,
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
    choice,
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
