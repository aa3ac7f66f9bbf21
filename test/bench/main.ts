// npm run bench: the connector alone as a child process, between an edge and a plain origin in other processes, beside the
// same load through nginx as a reverse proxy. Prints a table; asserts nothing. Needs Linux (/proc) and nginx.

import { rmSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { calibrate } from './calibrate.ts';
import { type ConnectorInputs, startConnector } from './connector.ts';
import { type LoadClient, openLoadClient, openUploadSink } from './load-client.ts';
import { measure, proxyWarmUpSeconds, type Subject } from './measure.ts';
import { ensureNginx, openNginxOrigin, openNginxProxy } from './nginx.ts';
import { type BenchOptions, parseBenchOptions, usage } from './options.ts';
import { benchPing } from './ping.ts';
import { benchPrivateTcp } from './private-tcp.ts';
import { cpuSeconds, residentMb } from './process-usage.ts';
import { formatReport, type Report, type Sample } from './report.ts';
import { type Calibration, stockHttp } from './stock.ts';
import { benchUdp } from './udp.ts';

/** Idle time before memory is read: a second is enough for timers of the start and for late frees. */
const restMs = 1_000;

/** Milliseconds from the start of the program to its first registration. */
async function measureStart(inputs: ConnectorInputs, load: LoadClient): Promise<number> {
  const connector = await startConnector({ ...inputs, haConnections: 1 });
  await load.connections(1);
  const tookMs = performance.now() - connector.startedMs;
  await connector.close();
  await load.connections(0);
  return tookMs;
}

async function bench(options: BenchOptions, directory: string, calibration: Calibration | undefined): Promise<Report> {
  await using closing = new AsyncDisposableStack();
  const program = ensureNginx();
  const origin = closing.adopt(await openNginxOrigin(program, join(directory, 'origin')), it => it.close());
  const sink = closing.adopt(await openUploadSink(), it => it.close());
  const ports = { origin: origin.port, sink: sink.port };
  const nginx = closing.adopt(await openNginxProxy(program, join(directory, 'proxy'), ports), it => it.close());
  const load = closing.adopt(await openLoadClient(), it => it.close());
  const home = join(directory, 'connector');
  await mkdir(home);
  const inputs: ConnectorInputs = {
    options,
    directory: home,
    edge: load,
    originPort: origin.port,
    sinkPort: sink.port,
    haConnections: 4,
  };

  const startMs: number[] = [];
  // A profile is wanted of the load, not of starts.
  const starts = options.nodeFlags.length === 0 ? options.rounds : 0;
  for (let round = 0; round < starts; round += 1) startMs.push(await measureStart(inputs, load));
  const connector = closing.adopt(await startConnector(inputs), it => it.close());
  await load.connections(4);
  await delay(restMs);
  const idleMb = residentMb(connector.pid);
  const startCpu = cpuSeconds(connector.pid);

  const loads = new Map(options.kinds.map(kind => [kind, { postern: [] as Sample[], nginx: [] as Sample[] }]));
  const countsInstructions = options.instructions;
  const tunnel: Subject = { pid: connector.pid, countsInstructions };
  const proxy: Subject = { pid: nginx.pid, proxyPort: nginx.port, countsInstructions };
  for (const kind of loads.keys()) {
    await measure(load, { kind, seconds: options.warmUpSeconds }, tunnel);
    await measure(load, { kind, seconds: proxyWarmUpSeconds }, proxy);
  }
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [kind, { postern, nginx: beside }] of loads) {
      postern.push(await measure(load, { kind, seconds: options.seconds }, tunnel));
      beside.push(await measure(load, { kind, seconds: options.seconds }, proxy));
    }
  }
  await delay(restMs);
  const afterMb = residentMb(connector.pid);
  const title = `postern over ${options.protocol}, Node ${process.versions.node}: ${options.rounds} rounds of ${options.seconds} s after ${options.warmUpSeconds} s of warm-up, medians (range)`;
  const stock: Report['stock'] = kind => stockHttp(calibration, options.protocol, kind);
  return { title, loads, stock, startMs, startCpu, idleMb, afterMb };
}

const options = parseBenchOptions(process.argv.slice(2));
if (options === undefined) console.log(usage);
else {
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  // A signal would end the process without its 'exit' otherwise, and leave directory and namespaces behind.
  const stop = (): never => process.exit(1);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const calibrated = options.calibrate ? await calibrate() : undefined;
  if (calibrated !== undefined) console.log(`${calibrated.text}\n`);
  const calibration = calibrated?.factor === undefined ? undefined : calibrated;
  if (options.kinds.length > 0) console.log(`${formatReport(await bench(options, directory, calibration))}\n`);
  if (options.privateTcp) console.log(await benchPrivateTcp(options, directory, calibration));
  if (options.udp) console.log(`${await benchUdp(options, directory, calibration)}\n`);
  if (options.ping) console.log(await benchPing(options, directory));
}
