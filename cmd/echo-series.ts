// What ping and traceroute have in common: a series of echo requests that an edge sends down the tunnel for us.

import { randomUUID } from 'node:crypto';
import type { Flag } from '../internal/config/flag.ts';
import { PosternError } from '../internal/errors/error.ts';
import { formatIp, parseIp, unmapIpv4 } from '../internal/net/ip.ts';
import { type ApiEchoResult, maxEchoDataBytes, maxEchoTimeoutMs } from '../internal/schema/api-echo.ts';
import type { Invocation } from './command.ts';
import type { CommandContext } from './context.ts';
import { openApi } from './tunnel/api.ts';
import { findOptionalNetwork } from './tunnel/find-network.ts';

export interface EchoSeries {
  /** Address text in its usual form. */
  readonly address: string;
  /** Sends the next request of the series. Throws 'api.not-found' where no route leads, and what API calls throw. */
  probe(fields: { readonly ttl: number; readonly size: number; readonly timeoutMs: number }): Promise<EchoAnswer>;
}

export type EchoAnswer = ApiEchoResult & {
  /** From 1. */
  readonly sequence: number;
};

/** Finds the edge and the network; nothing is sent yet. Throws 'usage.invalid' and what `openApi` throws. */
export async function openEchoSeries(
  invocation: Pick<Invocation, 'given' | 'args'>,
  vnet: string | undefined,
  context: CommandContext,
): Promise<EchoSeries> {
  const [text = ''] = invocation.args;
  const bytes = parseIp(text);
  if (bytes === undefined) {
    throw new PosternError(
      'usage.invalid',
      `${JSON.stringify(text)} is not an IP address; names are not resolved here`,
    );
  }
  const address = formatIp(unmapIpv4(bytes));
  const api = await openApi(invocation, context);
  const networkId = await findOptionalNetwork(api, vnet);
  const session = randomUUID();
  let sent = 0;
  return {
    address,
    async probe({ ttl, size, timeoutMs }) {
      sent += 1;
      const sequence = sent;
      const result = await api.client.sendEcho({
        params: { account: api.account },
        body: {
          destination: address,
          virtual_network_id: networkId,
          session,
          // Sixteen bits on the wire; long before they repeat the old ones have their answers.
          sequence: sequence & 0xffff,
          ttl,
          size,
          timeout_ms: timeoutMs,
        },
      });
      return { ...result, sequence };
    },
  };
}

/** A check of a flag: a whole number in a range. */
export function between(least: number, most: number): NonNullable<Flag['check']> {
  return value =>
    typeof value === 'number' && value >= least && value <= most ? undefined : `must be from ${least} to ${most}`;
}

export const sizeFlag = {
  name: 'size',
  aliases: ['s'],
  type: 'integer',
  default: 56,
  valueName: 'BYTES',
  description: `Bytes of data in each request, at most ${maxEchoDataBytes}`,
  check: between(0, maxEchoDataBytes),
} as const satisfies Flag;

export const maxWaitSeconds = maxEchoTimeoutMs / 1000;

/** `1.23`: milliseconds with three significant digits, as ping prints them. */
export function formatRtt(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3);
}
