// Tunnels of two accounts at two edges in one process: each entry of the list has settings of its own, a reload reaches each, what
// one metrics port and one tail show is told apart, and a credential that is not good fails alone.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { checkPrinted } from '../support/check-printed.ts';
import { startProgram } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

interface Outcome {
  readonly tunnelId: string;
  readonly changes: readonly { readonly setting: string; readonly takesEffect: string }[];
}

it('runs tunnels of two edges with settings of their own', async t => {
  const [near, far] = await Promise.all([TunnelWorld.open(t), TunnelWorld.open(t)]);
  const run = async (home: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runPostern(home, args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  for (const { home } of [near, far]) {
    await run(home, 'tunnel', 'create', 'second');
    await run(home, 'tunnel', 'route', 'dns', 'second', 'second.localhost');
  }
  const farToken = join(far.home, 'token');
  writeFileSync(farToken, await run(far.home, 'tunnel', 'token', 'second'), { mode: 0o600 });
  const badToken = join(near.home, 'bad');
  writeFileSync(badToken, 'no token at all', { mode: 0o600 });
  const { TunnelID: farApp } = JSON.parse(readFileSync(join(far.home, 'tunnel.json'), 'utf8')) as { TunnelID: string };
  const file = join(near.home, 'many.yml');
  const write = (status: number): void =>
    writeFileSync(
      file,
      [
        'tunnels:',
        '  - second',
        `  - tunnel: ${farApp}`,
        `    credentials-file: ${join(far.home, 'tunnel.json')}`,
        `    edge: ["127.0.0.1:${far.connectorPort}"]`,
        '    tag: [room=far]',
        '    ingress:',
        `      - service: http_status:${status + 1}`,
        `  - token-file: ${farToken}`,
        `    url: http://127.0.0.1:${near.originPort}`,
        `  - token-file: ${badToken}`,
        `ingress: [{service: "http_status:${status}"}]`,
        '',
      ].join('\n'),
    );
  write(210);
  await run(near.home, 'tunnel', 'config', 'validate', '--config', file);
  const flags = ['--config', file, '--ha-connections', '1', '--metrics', '127.0.0.1:0', '--pidfile', 'pid'];
  const connector = startProgram(t, ['tunnel', ...flags, 'run'], { home: near.home });
  await connector.logged(new RegExp(`Tunnel ${badToken} has ended; the others go on .*credentials.invalid`));
  for (const name of ['second', farApp, farToken])
    await connector.logged(new RegExp(`Registered tunnel connection .*tunnel=${name}`));
  const status = async (world: TunnelWorld, host: string) => (await world.get('/', { Host: host })).status;
  assert.equal(await status(near, 'second.localhost'), 210);
  assert.equal(await status(far, 'app.localhost'), 211);
  assert.deepEqual(await far.get('/there', { Host: 'second.localhost' }), { status: 200, text: 'origin /there' });
  assert.equal(readFileSync(join(near.home, 'pid'), 'utf8').trim(), String(connector.child.pid));

  const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const served = [...text.matchAll(/^cloudflared_tunnel_total_requests\{tunnel_id="([^"]+)"\} 1$/gm)];
  assert.equal(new Set(served.map(([, id]) => id)).size, 3, text.slice(0, 2_000));

  const shown = checkPrinted(
    'tunnel config show',
    await run(near.home, 'tunnel', 'config', 'show', '--config', file, '-o', 'json'),
  ) as { tunnels: { name: string; settings: { name: string; from: string }[]; rules: { from: string } }[] };
  assert.deepEqual(
    shown.tunnels.map(({ name, settings, rules }) => [name, settings.map(setting => setting.name), rules.from]),
    [
      ['second', [], `${file}:12`],
      [farApp, ['credentials-file', 'edge', 'tag'], `${file}:8`],
      [farToken, ['url', 'token-file'], 'url'],
      [badToken, ['token-file'], `${file}:12`],
    ],
  );

  write(220);
  const reload = async (...more: string[]) =>
    checkPrinted('tunnel reload', await run(near.home, 'tunnel', 'reload', '-o', 'json', ...more)) as Outcome[];
  assert.equal((await reload('--dry-run')).length, 3);
  assert.deepEqual(
    (await reload(farApp)).map(({ tunnelId }) => tunnelId),
    [farApp],
  );
  await until('the new rules', async () => (await status(near, 'second.localhost')) === 220);
  await until('the new rules', async () => (await status(far, 'app.localhost')) === 221);
  // Whoever listens at one edge hears that tunnel, and no other.
  const tail = startProgram(t, ['tail', farApp], { home: far.home });
  await until('the tail to show a request', async () => {
    await near.get('/near', { Host: 'second.localhost' });
    await far.get('/far');
    return tail.output().includes('/far');
  });
  assert.ok(!tail.output().includes('/near'), tail.output());
  write(230);
  connector.child.kill('SIGHUP');
  await until('the rules of SIGHUP', async () => (await status(far, 'app.localhost')) === 231);
  await until('the rules of SIGHUP', async () => (await status(near, 'second.localhost')) === 230);

  // A tunnel that is new waits; one that has gone goes on.
  writeFileSync(file, `tunnels: [second, app]\ningress: [{service: "http_status:240"}]\n`);
  await until('the last rules', async () => (await status(near, 'second.localhost')) === 240);
  assert.equal(await status(far, 'app.localhost'), 231);
  for (const { changes } of await reload('--dry-run'))
    assert.deepEqual(
      changes.map(({ setting, takesEffect }) => [setting, takesEffect]),
      [['tunnels', 'restart']],
    );

  connector.child.kill('SIGTERM');
  assert.equal(await connector.exited, 0);
  assert.deepEqual(readdirSync(join(near.home, '.postern', 'run')), []);
  assert.ok(!readdirSync(near.home).includes('pid'));
});
