// The command line of `npm run soak`.

import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly minutes: number;
  readonly protocol: 'auto' | 'http2' | 'quic';
}

export const usage = `npm run soak [-- --minutes N] [-- --protocol auto|http2|quic]

Runs an edge and a connector together under mixed load (requests, downloads, uploads, WebSockets, connections that are cut,
reloads) for N minutes, 20 by default, and prints what they used. Exits with 1 when a ceiling was passed.`;

/** Undefined when help was asked for. Throws an Error for what cannot be. */
export function parseSoakOptions(args: readonly string[]): SoakOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '20' },
      protocol: { type: 'string', default: 'auto' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const minutes = Number(values.minutes);
  if (!(minutes >= 0.5 && minutes <= 10_000))
    throw new Error(`--minutes ${values.minutes} must be a number from 0.5 to 10000`);
  const { protocol } = values;
  if (protocol !== 'auto' && protocol !== 'http2' && protocol !== 'quic')
    throw new Error(`--protocol ${protocol} must be auto, http2 or quic`);
  return { minutes, protocol };
}
