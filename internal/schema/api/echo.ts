// Echo requests into a private network, one a call, asked of an edge of ours by ping and traceroute. Not in other APIs.

import * as z from 'zod';
import { uuidSchema } from './common.ts';

/** Echo data of a packet of 1,280 bytes, the most that a datagram of the tunnel carries, with an IPv6 header. */
export const maxEchoDataBytes = 1_232;
/** A caller waits for one probe no longer than this. */
export const maxEchoTimeoutMs = 10_000;

export const sendEchoSchema = z.object({
  /** Address text, or a host name that the virtual network knows. */
  destination: z.string().min(1).max(253),
  virtual_network_id: uuidSchema.nullish().transform(id => id ?? undefined),
  /** Names the series that the probe belongs to: its probes share an echo id and a connection. */
  session: uuidSchema,
  /** Not used by another probe of the series that still waits. */
  sequence: z.number().int().min(0).max(65_535),
  ttl: z.number().int().min(1).max(255).default(64),
  size: z.number().int().min(0).max(maxEchoDataBytes).default(56),
  timeout_ms: z.number().int().min(1).max(maxEchoTimeoutMs).default(1_000),
});

const rttMs = z.number();
/** Text of the address that the request went to: what the name of the series stands for. */
const address = z.string().optional();

export const echoResultSchema = z.discriminatedUnion('kind', [
  /** `ttl` as it arrived; `bytes` of the ICMP message. */
  z.object({ kind: z.literal('reply'), address, from: z.string(), rtt_ms: rttMs, ttl: z.number(), bytes: z.number() }),
  z.object({ kind: z.literal('time-exceeded'), address, from: z.string(), rtt_ms: rttMs }),
  z.object({ kind: z.literal('timeout'), address }),
  /** The packet could not be sent: the connection's queue is full, or it is too large for the path. */
  z.object({ kind: z.literal('unsent'), address }),
  /** No connector of the route's tunnel is connected in a way that carries packets (QUIC). */
  z.object({ kind: z.literal('unreachable'), address }),
]);
export type ApiEchoResult = z.output<typeof echoResultSchema>;
