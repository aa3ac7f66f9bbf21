// What ping and traceroute have in common: a series of echo requests that an edge sends down the tunnel for us.

import { randomUUID } from 'node:crypto';
import type { Flag } from '../internal/config/flag.ts';
import { isPosternError, PosternError } from '../internal/errors/error.ts';
import { formatPrivateHost, parsePrivateHost } from '../internal/private-network/routes/private-host.ts';
import { type ApiEchoResult, maxEchoDataBytes, maxEchoTimeoutMs } from '../internal/schema/api/echo.ts';
import type { Invocation } from './command.ts';
import type { CommandContext } from './context.ts';
import { openApi } from './tunnel/api.ts';
import { findOptionalNetwork } from './tunnel/find-network.ts';

export interface EchoSeries {
  /** What was asked for: address text in its usual form, or a host name. */
  readonly target: string;
  /** Text of the address; of a name only after an answer. */
  readonly address: string | undefined;
  /** Sends the next request of the series. Throws what API calls throw, but for failures that may pass. */
  probe(fields: { readonly ttl: number; readonly size: number; readonly timeoutMs: number }): Promise<EchoAnswer>;
}

/** `no-route`: no route leads to the target now; `no-edge`: the edge does not answer. Both may pass. */
type EchoFailure = { readonly kind: 'no-route' | 'no-edge'; readonly reason: string; readonly address?: string };

export type EchoAnswer = (ApiEchoResult | EchoFailure) & {
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
  const host = parsePrivateHost(text);
  if (host === undefined) {
    throw new PosternError('usage.invalid', `${JSON.stringify(text)} is neither an IP address nor a host name`);
  }
  const target = formatPrivateHost(host);
  const api = await openApi(invocation, context);
  const networkId = await findOptionalNetwork(api, vnet);
  const session = randomUUID();
  let sent = 0;
  let address = host.kind === 'address' ? target : undefined;
  return {
    target,
    get address() {
      return address;
    },
    async probe({ ttl, size, timeoutMs }) {
      sent += 1;
      const sequence = sent;
      const asked = api.client.sendEcho({
        params: { account: api.account },
        body: {
          destination: target,
          virtual_network_id: networkId,
          session,
          // Sixteen bits on the wire; long before they repeat the old ones have their answers.
          sequence: sequence & 0xffff,
          ttl,
          size,
          timeout_ms: timeoutMs,
        },
      });
      let result: ApiEchoResult | EchoFailure;
      try {
        result = await asked;
      } catch (error) {
        // A name that never had an address is no target at all.
        if (!isPosternError(error) || address === undefined) throw error;
        const reason = error.message;
        if (error.code === 'api.not-found') result = { kind: 'no-route', reason };
        else if (error.kind.scope === 'network') result = { kind: 'no-edge', reason };
        else throw error;
      }
      address ??= result.address;
      return { ...result, sequence };
    },
  };
}

/** What a command shows while its series runs; nothing where its result is printed in a format at the end. */
export interface EchoScreen {
  print(line: string): void;
  /** Prints the headline, once. The address of a name is known with the first answer: call it then. */
  announce(): void;
}

/**
 * Announces at once where the address is known.
 * @param headline of the target: `10.1.0.2`, or `db.internal (10.1.0.2)`
 */
export function openEchoScreen(
  series: EchoSeries,
  { stdout }: Pick<CommandContext, 'stdout'>,
  isShown: boolean,
  headline: (target: string) => string,
): EchoScreen {
  let isAnnounced = false;
  const print = (line: string): void => {
    if (isShown) stdout.write(`${line}\n`);
  };
  const announce = (): void => {
    const { target, address } = series;
    if (!isAnnounced) print(headline(address === undefined || address === target ? target : `${target} (${address})`));
    isAnnounced = true;
  };
  if (series.address !== undefined) announce();
  return { print, announce };
}

/** A check of a flag: a whole number in a range. */
export function between(least: number, most: number): NonNullable<Flag['check']> {
  return value =>
    typeof value === 'number' && value >= least && value <= most ? undefined : `must be from ${least} to ${most}`;
}

export const echoTarget = {
  name: 'TARGET',
  description:
    'IPv4 or IPv6 address in the private network, or a host name: one with a hostname route, or one that the resolver of ' +
    'the virtual network knows',
} as const;

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
