// An echo proxy as a process of its own, to be run in a network namespace with chosen privileges: packets come in as
// lines of hex on standard input, packets and log lines go out as lines of JSON. Ends with its input.
// Arguments: the texts for --icmpv4-src and --icmpv6-src, '-' for none.

import { createInterface } from 'node:readline';
import { openEchoProxy } from '../../internal/icmp/open-echo.ts';
import { createLogger } from '../../internal/telemetry/logger.ts';

const tell = (message: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};
const [v4 = '-', v6 = '-'] = process.argv.slice(2);
const proxy = await openEchoProxy({
  flags: { v4: v4 === '-' ? undefined : v4, v6: v6 === '-' ? undefined : v6 },
  allowDestination: () => true,
  log: createLogger({
    level: 'info',
    format: 'json',
    destination: { write: line => tell({ log: JSON.parse(line) as unknown }) },
  }),
});
tell({ ready: proxy !== undefined });
const path = {
  open: true,
  sendPacket: (packet: Uint8Array): boolean => {
    tell({ packet: Buffer.from(packet).toString('hex') });
    return true;
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'counters') tell({ counters: proxy?.counters, flows: proxy?.activeFlows });
  else proxy?.packet(Buffer.from(line, 'hex'), path);
}
proxy?.close();
