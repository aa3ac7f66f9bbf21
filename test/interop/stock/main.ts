// npm run interop: a stock cloudflared and our own program, by the same scripts, on edges of ours. Prints a table; ends with
// 1 when a scenario of either failed, with 64 when the command line is wrong.

import { spawnSync } from 'node:child_process';
import { posternCommand } from '../../support/child-program.ts';
import { accessScenarios } from './access.ts';
import { configurationScenarios } from './configuration.ts';
import { managementScenarios } from './management.ts';
import { namedScenarios } from './named.ts';
import { type InteropOptions, parseInteropOptions, usage } from './options.ts';
import { privateScenarios } from './private.ts';
import { quickScenarios } from './quick.ts';
import { runScenario } from './run-scenario.ts';
import type { Family, Scenario, ScenarioOutcome, TriedProgram } from './scenario.ts';
import { formatTable, type ResultRow } from './table.ts';
import { traceScenarios } from './traces.ts';

const scenarios: Readonly<Record<Family, readonly Scenario[]>> = {
  quick: quickScenarios,
  named: namedScenarios,
  private: privateScenarios,
  configuration: configurationScenarios,
  management: managementScenarios,
  access: accessScenarios,
  traces: traceScenarios,
};
const usageExit = 64;

const options = readOptions();
if (options === undefined) console.log(usage);
else {
  const stopping = new AbortController();
  // Children are ended in order; a second signal ends this process at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  // So are they when a scenario failed where nobody waited.
  process.once('uncaughtException', error => {
    console.error(error);
    stopping.abort();
  });
  const programs = programsOf(options);
  const columns = programs.map(program => `${program.name} (${versionOf(program)})`);
  const rows: ResultRow[] = [];
  for (const family of options.families) {
    for (const scenario of scenarios[family]) {
      const outcomes: ScenarioOutcome[] = [];
      for (const program of programs) {
        const outcome = await runScenario(scenario, program, stopping.signal);
        outcomes.push(outcome);
        // Progress for who waits; the table alone goes to stdout.
        console.error(`${program.name}: ${family}, ${scenario.name}: ${outcome.kind}`);
      }
      if (stopping.signal.aborted) process.exit(1);
      rows.push({ family, name: scenario.name, outcomes });
    }
  }
  console.log(formatTable(columns, rows));
  if (rows.some(row => row.outcomes.some(outcome => outcome.kind === 'failed'))) process.exitCode = 1;
}

function readOptions(): InteropOptions | undefined {
  try {
    return parseInteropOptions(process.argv.slice(2));
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(why: string): never {
  console.error(`${why}\n\n${usage}`);
  process.exit(usageExit);
}

/** In the order of the columns. */
function programsOf({ peer }: InteropOptions): readonly TriedProgram[] {
  const ours: TriedProgram = { name: 'postern', words: posternCommand(), isStock: false };
  return peer === undefined ? [ours] : [{ name: 'stock', words: [peer], isStock: true }, ours];
}

/** What the program says of itself; who does not is no cloudflared. */
function versionOf({ words: [file = '', ...words] }: TriedProgram): string {
  const { status, stdout } = spawnSync(file, [...words, 'version'], { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0 || stdout.trim() === '') return refuse(`${file} version did not print a version`);
  return stdout.trim();
}
