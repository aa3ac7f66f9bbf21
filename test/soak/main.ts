// npm run soak: an edge and a connector of this checkout under mixed load for a long time, judged by what they use and what
// fails. Prints a table; ends with 1 when a ceiling was passed. Needs Linux (/proc).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildProgram } from '../support/child-program.ts';
import { until } from '../support/wait.ts';
import { formatVerdicts, judge, type Sample, type SoakResult } from './judge.ts';
import { runLoads } from './load.ts';
import { parseSoakOptions, type SoakOptions, usage } from './options.ts';
import { openSoakWorld, type SoakWorld, sample } from './world.ts';

const sampleEveryMs = 1_000;
const reloadEveryMs = 10_000;
const cutEveryMs = 20_000;
/** Whatever ended so soon after a cut was still waiting for the connector. */
const afterCutMs = 3_000;
/** Until kept connections of visitors and to the origin are closed. */
const settleMs = 100_000;

async function soak(options: SoakOptions, directory: string): Promise<SoakResult> {
  await using world = await openSoakWorld(options, directory);
  const lengthMs = options.minutes * 60_000;
  const faults: string[] = [];
  const programs = { edge: world.edge, connector: world.connector };
  const samples: Record<keyof typeof programs, Sample[]> = { edge: [], connector: [] };
  const startedMs = performance.now();
  const take = (atMs = performance.now() - startedMs): void => {
    for (const name of ['edge', 'connector'] as const) samples[name].push(sample(programs[name], atMs));
  };
  take(-1);
  const sampling = setInterval(take, sampleEveryMs);
  const over = new AbortController();
  for (const [name, program] of Object.entries(programs)) void watchEnd(name, program, faults, over);
  const cuts = new Cuts(world, faults);
  const reloading = setInterval(
    () => void world.reload().catch(error => faults.push(`reload: ${error}`)),
    reloadEveryMs,
  );
  const ending = setTimeout(() => over.abort(), lengthMs);
  const cutting = cuts.run(over.signal);
  const loads = await runLoads(world.httpPort, sinceMs => cuts.since(sinceMs), over.signal);
  await cutting;
  for (const timer of [sampling, reloading, ending]) clearTimeout(timer);
  if (!faults.some(fault => fault.includes('ended'))) {
    const first = (name: keyof typeof programs): number => samples[name][0]?.descriptors ?? 0;
    // As long as they fall: what stays is what is judged.
    await until(
      'descriptors to be given back',
      () => (['edge', 'connector'] as const).every(name => sample(programs[name], 0).descriptors <= first(name) + 2),
      settleMs,
    ).catch(() => undefined);
    take(Math.max(performance.now() - startedMs, lengthMs + 1));
    for (const name of ['connector', 'edge'] as const) {
      const code = await programs[name].stop();
      if (code !== 0) faults.push(`the ${name} stopped with ${code}`);
    }
  }
  return { lengthMs, processes: samples, loads, faults };
}

/** Cuts all connections now and then, and wants them back. */
class Cuts {
  readonly #world: SoakWorld;
  readonly #faults: string[];
  #count = 0;
  #isCutting = false;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(world: SoakWorld, faults: string[]) {
    this.#world = world;
    this.#faults = faults;
  }

  /** Whether a cut, or the moment after one, falls into the time from `sinceMs` to now. */
  since(sinceMs: number): boolean {
    return this.#isCutting || this.#lastEndMs + afterCutMs >= sinceMs;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, cutEveryMs);
        signal.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      });
      if (signal.aborted) return;
      this.#count += 1;
      this.#isCutting = true;
      try {
        await this.#world.cut();
        await until('the connections to be back', () => this.#world.isWhole(), 30_000);
      } catch (error) {
        this.#faults.push(`cut ${this.#count}: ${error}; the connector: ${this.#world.connector.log().slice(-3_000)}`);
      }
      this.#isCutting = false;
      this.#lastEndMs = performance.now();
    }
  }
}

async function watchEnd(name: string, program: ChildProgram, faults: string[], over: AbortController): Promise<void> {
  const code = await program.exited;
  if (over.signal.aborted) return;
  faults.push(`the ${name} ended with ${code}: ${program.log().slice(-500)}`);
  over.abort();
}

const options = parseSoakOptions(process.argv.slice(2));
if (options === undefined) console.log(usage);
else {
  const directory = await mkdtemp(join(tmpdir(), 'postern-soak-'));
  try {
    const verdicts = judge(await soak(options, directory));
    console.log(`${options.minutes} min, ${options.protocol}\n${formatVerdicts(verdicts)}`);
    if (verdicts.some(({ passed }) => !passed)) process.exitCode = 1;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
