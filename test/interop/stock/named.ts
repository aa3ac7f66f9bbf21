// Named tunnels: run by a token, or by name with a credentials file and a config file of several services.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { within } from '../../support/wait.ts';
import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab } from './lab.ts';
import type { Scenario, Stage } from './scenario.ts';
import { checkVisits, visit } from './visit.ts';

type Protocol = 'http2' | 'quic';

export const namedScenarios: readonly Scenario[] = (['http2', 'quic'] as const).flatMap(protocol => [
  { name: `a named tunnel by token over ${protocol}`, run: stage => byToken(stage, protocol) },
  { name: `a named tunnel by config file over ${protocol}`, run: stage => byConfigFile(stage, protocol) },
  { name: `a stop lets a running request finish, ${protocol}`, run: stage => stopInOrder(stage, protocol) },
]);

async function byToken(stage: Stage, protocol: Protocol): Promise<void> {
  const lab = await Lab.open(stage);
  const { host, token } = await lab.makeTunnel('app');
  const origin = await openVisitedOrigin(stage);
  await lab.run({ protocol, connections: 4, token, runFlags: ['--url', `http://127.0.0.1:${origin}`] });
  await checkVisits(lab, host);
}

async function byConfigFile(stage: Stage, protocol: Protocol): Promise<void> {
  const lab = await Lab.open(stage);
  const credentials = join(lab.home, 'credentials.json');
  await lab.succeed('tunnel', 'create', '--credentials-file', credentials, 'files');
  for (const host of ['one', 'two']) await lab.succeed('tunnel', 'route', 'dns', 'files', host);
  const origin = await openVisitedOrigin(stage);
  const config = join(lab.home, 'config.yml');
  await writeFile(
    config,
    `tunnel: files
credentials-file: ${credentials}
ingress:
  - hostname: one.localhost
    service: http://127.0.0.1:${origin}
  - hostname: two.localhost
    path: ^/gone$
    service: http_status:410
  - service: http_status:404
`,
  );
  await lab.run({ protocol, flags: ['--config', config] });
  await checkVisits(lab, 'one.localhost');
  assert.equal((await visit(lab, 'two.localhost', '/gone')).status, 410);
  assert.equal((await visit(lab, 'two.localhost', '/')).status, 404);
}

async function stopInOrder(stage: Stage, protocol: Protocol): Promise<void> {
  const lab = await Lab.open(stage);
  const { host, token } = await lab.makeTunnel('app');
  const origin = await openVisitedOrigin(stage);
  const connector = await lab.run({ protocol, token, runFlags: ['--url', `http://127.0.0.1:${origin}`] });
  const sent = request({
    ...{ host: '127.0.0.1', port: lab.ports.http, method: 'POST', path: '/echo', headers: { host }, agent: false },
  });
  stage.after(() => sent.destroy());
  sent.write('before, ');
  const [response] = await within('the head of the answer', once(sent, 'response'));
  connector.child.kill('SIGTERM');
  await connector.logged(/Initiating graceful shutdown/);
  sent.end('after');
  assert.equal(await within('the rest of the answer', text(response)), 'before, after');
  assert.equal(await within('the end of the connector', connector.exited), 0);
}
