import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { runScenario } from './run-scenario.ts';
import { NotOffered, type ScenarioOutcome, type Stage, type TriedProgram } from './scenario.ts';
import { formatTable } from './table.ts';

const program: TriedProgram = { name: 'postern', words: ['true'], isStock: false };
const never = new AbortController().signal;

describe('a scenario', () => {
  it('ends as ok, failed or not offered, and closes what it opened, last first', async () => {
    const closed: string[] = [];
    const directories: string[] = [];
    const scenario = (error?: Error) => ({
      name: 'tried',
      run: async (stage: Stage): Promise<void> => {
        directories.push(stage.directory);
        for (const name of ['first', 'last']) stage.after(() => closed.push(name));
        if (error !== undefined) throw error;
      },
    });
    assert.deepEqual(await runScenario(scenario(), program, never), { kind: 'ok' });
    assert.deepEqual(await runScenario(scenario(new Error('broken')), program, never), failed('broken'));
    const missing = await runScenario(scenario(new NotOffered('no such thing')), program, never);
    assert.deepEqual(missing, { kind: 'not offered', reason: 'no such thing' });
    assert.deepEqual(closed, ['last', 'first', 'last', 'first', 'last', 'first']);
    assert.deepEqual(directories.filter(existsSync), []);
  });

  it('fails when it takes too long, is stopped, or cannot be closed', async () => {
    const hang = { name: 'hangs', run: () => new Promise<void>(() => undefined) };
    assert.deepEqual(await runScenario(hang, program, never, 20), failed('Waited 20 ms in vain: hangs'));
    assert.deepEqual(await runScenario(hang, program, AbortSignal.abort()), failed('Stopped by a signal'));
    let others = 0;
    const stuck = {
      name: 'sticks',
      run: async (stage: Stage): Promise<void> => {
        stage.after(() => {
          others += 1;
        });
        stage.after(() => Promise.reject(new Error('stuck')));
      },
    };
    assert.deepEqual(await runScenario(stuck, program, never), failed('stuck'));
    assert.equal(others, 1);
  });

  it('closes at once what is opened after it was given up', async () => {
    const opening = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const late = {
      name: 'late',
      run: async (stage: Stage): Promise<void> => {
        await opening.promise;
        stage.after(closed.resolve);
      },
    };
    assert.equal((await runScenario(late, program, never, 20)).kind, 'failed');
    opening.resolve();
    await closed.promise;
  });
});

describe('the table of results', () => {
  it('has a row a scenario, a column a program, and what failed in full below', () => {
    const rows = [
      { family: 'quick', name: 'one', outcomes: [{ kind: 'ok' }, failed(`${'x'.repeat(60)}\nmore`)] },
      { family: 'named', name: 'another', outcomes: [{ kind: 'not offered', reason: 'nothing' }, { kind: 'ok' }] },
    ] as const;
    assert.equal(
      formatTable(['stock', 'postern'], rows),
      `family  scenario  stock                 postern
------  --------  --------------------  ------------------------------------------------------------
quick   one       ok                    failed: ${'x'.repeat(51)}…
named   another   not offered: nothing  ok

quick, one, postern:
  ${'x'.repeat(60)}
  more`,
    );
  });
});

function failed(reason: string): ScenarioOutcome {
  return { kind: 'failed', reason };
}
