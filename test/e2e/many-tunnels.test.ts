// Several tunnels in one process: each serves its own host, one with bad credentials fails alone, a changed file reaches all,
// and one metrics port tells them apart.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { it } from 'node:test';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { until, within } from '../support/wait.ts';

function statusOf(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, headers: { host }, agent: false }, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject).end();
  });
}

it('runs the tunnels of a file, and one that cannot run fails alone', async t => {
  const home = await temporaryDirectory(t);
  const edge = startProgram(
    t,
    [
      ...['edge', 'run', '--connector-port', '0', '--http-port', '0', '--https-port', '0', '--api', '127.0.0.1:0'],
      ...['--grace-period', '1s', '--quick-tunnels=false'],
    ],
    { home },
  );
  await edge.logged(/Edge ready/);
  const [, port = ''] = await edge.logged(/Listening for HTTP visitors address=\S+:(\d+)/);
  for (const name of ['one', 'two'])
    for (const args of [
      ['create', name],
      ['route', 'dns', name, name],
    ]) {
      const command = startProgram(t, ['tunnel', ...args], { home });
      assert.equal(await within(args.join(' '), command.exited), 0, command.log());
    }
  const config = join(home, 'config.yml');
  const nobody = '11111111-2222-4333-8444-555555555555';
  const write = (status: number) =>
    writeFile(config, `tunnels: [one, ${nobody}, two]\ningress:\n  - service: http_status:${status}\n`);
  await write(204);
  const flags = ['--config', config, '--ha-connections', '1', '--metrics', '127.0.0.1:0', '--grace-period', '1s'];
  const connector = startProgram(t, ['tunnel', ...flags, 'run'], { home });
  await connector.logged(new RegExp(`Tunnel ${nobody} has ended; the others go on .*credentials.not-found`));
  for (const name of ['one', 'two']) {
    await connector.logged(new RegExp(`Registered tunnel connection .*tunnel=${name}`));
    assert.equal(await statusOf(Number(port), `${name}.localhost`), 204);
  }
  const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const ids = new Set(
    [...text.matchAll(/^cloudflared_tunnel_total_requests\{tunnel_id="([^"]+)"\} 1$/gm)].map(([, id]) => id),
  );
  assert.equal(ids.size, 2, text.slice(0, 2_000));
  assert.equal(text.match(/^build_info/gm)?.length, 1);
  const ready = (await (await fetch(`http://${metrics}/ready`)).json()) as { readonly readyConnections: number };
  assert.equal(ready.readyConnections, 2);
  const state = await (await fetch(`http://${metrics}/diag/tunnel`)).json();
  assert.deepEqual(
    new Set((state as { tunnels: { tunnelID: string }[] }).tunnels.map(({ tunnelID }) => tunnelID)),
    ids,
  );
  assert.equal(connector.log().match(/Starting metrics server/g)?.length, 1);

  await write(205);
  for (const name of ['one', 'two'])
    await until(`${name} to reload`, async () => (await statusOf(Number(port), `${name}.localhost`)) === 205);

  assert.equal(await connector.stop(), 0);
  const single = startProgram(t, ['tunnel', ...flags, '--credentials-file', 'x.json', 'run'], { home });
  assert.equal(await within('a flag for one tunnel to be refused', single.exited), 64);
  assert.match(single.log(), /--credentials-file is for one tunnel, and 3 are named/);
});
