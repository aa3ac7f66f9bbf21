// `traceroute TARGET`: the hops on the way into a private network that the tunnel shows: the connector, then the
// destination. Exit codes: 0 when the destination answered, 1 when not. Source: docs/protocol/datagrams.md §7.2,
// §12 trap 14.

import { defineCommand } from './command.ts';
import {
  between,
  type EchoAnswer,
  echoTarget,
  formatRtt,
  maxWaitSeconds,
  openEchoScreen,
  openEchoSeries,
  sizeFlag,
} from './echo-series.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from './output.ts';
import { networkFlag } from './tunnel/find-network.ts';

/** Behind the connector every TTL is the same to the network, so silence at so many hops in a row will stay silence. */
const silentHopsLimit = 5;

export const command = defineCommand({
  description:
    'Sends ICMP echo requests with rising time to live through the tunnel whose private route leads to the target. The ' +
    'connector answers for the first hop; behind it only the destination shows.',
  positionals: [echoTarget],
  flags: [
    networkFlag,
    {
      name: 'max-hops',
      aliases: ['m'],
      type: 'integer',
      default: 30,
      valueName: 'N',
      check: between(1, 255),
      description: 'Highest time to live to try',
    },
    {
      name: 'queries',
      aliases: ['q'],
      type: 'integer',
      default: 3,
      valueName: 'N',
      check: between(1, 10),
      description: 'Requests for each hop',
    },
    {
      name: 'wait',
      aliases: ['w'],
      type: 'number',
      default: 3,
      valueName: 'SECONDS',
      description: 'How long to wait for each answer',
      check: between(0.01, maxWaitSeconds),
    },
    sizeFlag,
    outputFlag,
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const series = await openEchoSeries(invocation, flags.vnet, context);
    const screen = openEchoScreen(
      series,
      context,
      format === undefined,
      target => `traceroute to ${target}, ${flags.maxHops} hops max, ${flags.size} data bytes`,
    );
    const hops: { ttl: number; answers: EchoAnswer[] }[] = [];
    let silentHops = 0;
    let reached = false;
    let carried = true;
    let heardTtl = 0;
    for (let ttl = 1; ttl <= flags.maxHops && !reached && carried && silentHops < silentHopsLimit; ttl += 1) {
      const timeoutMs = Math.round(flags.wait * 1000);
      const probe = { ttl, size: flags.size, timeoutMs };
      const answers = await Promise.all(Array.from({ length: flags.queries }, () => series.probe(probe)));
      screen.announce();
      hops.push({ ttl, answers });
      screen.print(hopLine(ttl, answers));
      reached = answers.some(answer => answer.kind === 'reply');
      const heard = answers.some(answer => answer.kind === 'reply' || answer.kind === 'time-exceeded');
      silentHops = heard ? 0 : silentHops + 1;
      if (heard) heardTtl = ttl;
      // Every further hop would say the same.
      carried = answers.some(answer => answer.kind !== 'unreachable' && answer.kind !== 'no-route');
    }
    if (!reached) screen.print(diagnosis(carried, heardTtl));
    if (format !== undefined)
      writeFormatted(context, format, { target: series.target, address: series.address, reached, hops });
    return reached ? 0 : 1;
  },
});

/** Where the way ended, for somebody who has to do something about it. */
function diagnosis(carried: boolean, heardTtl: number): string {
  if (!carried)
    return 'Stopped at the edge: no route leads there, or its connectors carry no packets now (that takes QUIC)';
  if (heardTtl === 0)
    return 'Stopped before the connector answered: it may not be allowed to send echo requests (ICMP)';
  return 'Stopped behind the connector: the host is down, or a firewall there drops echo requests';
}

/** ` 1  10.0.0.1  0.52 ms  0.48 ms  *`: an address is printed where it differs from the one before. */
function hopLine(ttl: number, answers: readonly EchoAnswer[]): string {
  let last = '';
  const parts = answers.map(answer => {
    if (answer.kind === 'timeout') return '*';
    if (answer.kind !== 'reply' && answer.kind !== 'time-exceeded') return '!N';
    const from = answer.from === last ? '' : `${answer.from}  `;
    last = answer.from;
    return `${from}${formatRtt(answer.rtt_ms)} ms`;
  });
  return `${String(ttl).padStart(2)}  ${parts.join('  ')}`;
}
