// Runs one scenario with one program, within a deadline, and closes what it opened whatever happened.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from '../../support/wait.ts';
import { NotOffered, type Scenario, type ScenarioOutcome, type Stage, type TriedProgram } from './scenario.ts';

/** The slowest scenario takes some ten seconds on an idle machine. */
const scenarioMs = 120_000;

/**
 * Never rejects. `stopped` ends the scenario early, as failed.
 * @param deadlineMs how long the scenario may take; its end, which has deadlines of its own, is not counted
 */
export async function runScenario(
  scenario: Scenario,
  program: TriedProgram,
  stopped: AbortSignal,
  deadlineMs = scenarioMs,
): Promise<ScenarioOutcome> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-interop-'));
  const closers: (() => unknown)[] = [];
  let isOver = false;
  const stage: Stage = {
    program,
    directory,
    after: close => {
      // A scenario that was given up may open something yet.
      if (isOver) void settle(async () => void (await close()));
      else closers.push(close);
    },
  };
  const outcome = await settle(() =>
    within(scenario.name, Promise.race([scenario.run(stage), rejection(stopped)]), deadlineMs),
  );
  isOver = true;
  let ending: ScenarioOutcome = { kind: 'ok' };
  // One that fails must not leave the others open.
  for (const close of closers.reverse()) {
    const end = await settle(async () => void (await close()));
    if (end.kind !== 'ok') ending = end;
  }
  await rm(directory, { recursive: true, force: true });
  return outcome.kind === 'ok' ? ending : outcome;
}

async function settle(work: () => Promise<void>): Promise<ScenarioOutcome> {
  try {
    await work();
    return { kind: 'ok' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: error instanceof NotOffered ? 'not offered' : 'failed', reason };
  }
}

function rejection(stopped: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(new Error('Stopped by a signal'));
    if (stopped.aborted) stop();
    else stopped.addEventListener('abort', stop, { once: true });
  });
}
