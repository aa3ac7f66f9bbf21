// npm run bench: our edge and our connector under load, beside others in the same run. Prints tables; asserts nothing.
// Needs Linux (/proc) and nginx.

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchCarried } from './carried.ts';
import { type BenchOptions, parseBenchOptions, usage } from './options.ts';
import { benchPing } from './ping.ts';
import { benchSlow } from './slow.ts';
import { benchStart } from './start.ts';
import { benchUdp } from './udp.ts';

/** Each gives its report as text, empty when nothing of it is asked for. */
const benches: readonly ((options: BenchOptions, directory: string) => Promise<string>)[] = [
  benchCarried,
  benchUdp,
  benchPing,
  benchSlow,
  benchStart,
];

const options = parseBenchOptions(process.argv.slice(2));
if (options === undefined) console.log(usage);
else {
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  // A signal would end the process without its 'exit' otherwise, and leave directory and namespaces behind.
  const stop = (): never => process.exit(1);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const bench of benches) {
    const report = await bench(options, directory);
    if (report !== '') console.log(`${report}\n`);
  }
}
