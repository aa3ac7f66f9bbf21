// `tunnel reload` against a connector that runs: what changes at once, what waits, what is refused.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checkPrinted } from '../support/check-printed.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

interface Outcome {
  readonly pid: number;
  readonly changes: readonly { setting: string; before: string | null; after: string | null; takesEffect: string }[];
  readonly error?: string;
}

const config = (status: number, more = ''): string => `${more}ingress:\n  - service: http_status:${status}\n`;

describe('tunnel reload', () => {
  it('says what changes, changes it, and tells what needs a restart', async t => {
    const world = await TunnelWorld.open(t);
    const file = join(world.home, 'config.yml');
    const reload = async (...flags: string[]): Promise<{ code: number; outcomes: readonly Outcome[] }> => {
      const { code, stdout, stderr } = await runPostern(world.home, ['tunnel', 'reload', '-o', 'json', ...flags]);
      assert.notEqual(stdout, '', stderr);
      return { code, outcomes: checkPrinted('tunnel reload', stdout) as Outcome[] };
    };
    const none = await runPostern(world.home, ['tunnel', 'reload']);
    assert.deepEqual([none.code, none.stderr], [1, 'No connector runs under this user [health.failed]\n']);

    writeFileSync(file, config(201, 'grace-period: 7s\n'));
    const connector = await world.connect({ flags: ['--config', file] });
    const directory = join(world.home, '.postern', 'run');
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(directory).length, 1);
    assert.equal((await world.get()).status, 201);
    const same = await reload();
    assert.deepEqual(same.outcomes[0]?.changes, []);
    assert.equal(same.outcomes[0]?.pid, connector.child.pid);

    // The watcher of the file would be as fast: the command line keeps it from being asked before the dry run.
    writeFileSync(file, config(202, 'max-active-flows: 7\nmetrics: 127.0.0.1:1\nretries: 3\n'));
    const taken = await reload();
    const [outcome] = taken.outcomes;
    assert.equal(taken.code, 0);
    await until('the new rule', async () => (await world.get()).status === 202);
    assert.match(connector.log(), /Changed, but only a restart takes it over: retries/);
    // What was changed by the watcher before the command came is no change any more; what waits for a restart always is.
    const kept = outcome?.changes.find(({ setting }) => setting === 'retries');
    assert.deepEqual(kept, { setting: 'retries', before: '5', after: '3', takesEffect: 'restart' });

    writeFileSync(file, 'ingress: nonsense\n');
    for (const flags of [['--dry-run'], []]) {
      const refused = await reload(...flags);
      assert.equal(refused.code, 3);
      assert.match(refused.outcomes[0]?.error ?? '', /config\.yml:1:10: ingress must be a list of rules/);
    }
    assert.equal((await world.get()).status, 202);
    const other = await runPostern(world.home, ['tunnel', 'reload', '00000000-0000-4000-8000-000000000000']);
    assert.equal(other.code, 1);

    connector.child.kill('SIGTERM');
    assert.equal(await connector.exited, 0);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('hands another tag to origins, and opens what allow-destination names, without a restart', async t => {
    const world = await TunnelWorld.open(t, {
      origin: (request, response) => void response.end(`tag ${request.headers['cf-warp-tag-room']}`),
    });
    const file = join(world.home, 'config.yml');
    const rules = `ingress:\n  - service: http://127.0.0.1:${world.originPort}\n`;
    writeFileSync(file, `tag: [room=one]\n${rules}`);
    await world.connect({ flags: ['--config', file] });
    assert.equal((await world.get()).text, 'tag one');
    writeFileSync(file, `tag: [room=two]\nallow-destination: [127.0.0.1/32]\n${rules}`);
    assert.equal((await runPostern(world.home, ['tunnel', 'reload'])).code, 0);
    await until('the new tag', async () => (await world.get()).text === 'tag two');
  });

  it('leaves the rules to the edge once they were pushed there', async t => {
    const world = await TunnelWorld.open(t);
    const file = join(world.home, 'config.yml');
    const run = async (...argv: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runPostern(world.home, ['tunnel', ...argv]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    writeFileSync(file, config(201));
    await world.connect({ flags: ['--config', file] });
    writeFileSync(join(world.home, 'pushed.yml'), config(203));
    assert.match(await run('config', 'push', 'app', '--config', 'pushed.yml'), /Version 1 replaces version 0/);
    await until('the pushed rule', async () => (await world.get()).status === 203);
    const shown = checkPrinted('tunnel config show', await run('config', 'show', '--config', file, '-o', 'json'));
    const { rules } = shown as { rules: { source: string; from: string } };
    assert.deepEqual([rules.source, rules.from.split(',')[0]], ['edge', 'version 1']);
    // What the watcher may have taken note of already is compared with the file that the connector began with.
    writeFileSync(file, config(204, 'grace-period: 9s\n'));
    await run('reload');
    assert.equal((await world.get()).status, 203);
  });

  it('forgets a connector that was killed', async t => {
    const world = await TunnelWorld.open(t);
    const connector = await world.connect();
    const directory = join(world.home, '.postern', 'run');
    connector.child.kill('SIGKILL');
    await connector.exited;
    assert.equal(readdirSync(directory).length, 1);
    const { code, stderr } = await runPostern(world.home, ['tunnel', 'reload']);
    assert.equal(code, 1, stderr);
    assert.ok(existsSync(directory));
    assert.deepEqual(readdirSync(directory), []);
  });
});
