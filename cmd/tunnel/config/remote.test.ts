// tunnel config push, pull and diff against a real control plane.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parse } from 'yaml';
import { checkPrinted } from '../../../test/support/check-printed.ts';
import { openTestControlPlane, type TestControlPlane } from '../../../test/support/control-plane.ts';
import { type CliOutcome, runPostern } from '../../../test/support/run-cli.ts';
import { diffText } from './remote.ts';

const local = `# of the shop
tunnel: shop
loglevel: debug # while we look
originRequest:
  noTLSVerify: true
  connectTimeout: 1m30s
ingress:
  - hostname: shop.example.com
    path: ^/api/
    service: https://localhost:8443
    originRequest: { httpHostHeader: shop.internal }
  - hostname: "*.example.com"
    service: tcp://localhost:5432
  - service: http_status:404
warp-routing: { maxActiveFlows: 5 }
`;

describe('a configuration moved to the edge and back', () => {
  let edge: TestControlPlane;
  beforeEach(async () => {
    edge = await openTestControlPlane();
    assert.equal((await runPostern(edge.home, ['tunnel', 'create', 'shop'])).code, 0);
    write('config.yml', local);
  });
  afterEach(() => edge[Symbol.asyncDispose]());
  const path = (name: string): string => join(edge.home, name);
  const write = (name: string, text: string): void => writeFileSync(path(name), text);
  const run = (...argv: string[]): Promise<CliOutcome> => runPostern(edge.home, ['tunnel', 'config', ...argv]);
  const ok = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...argv);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const mine = ['--config', 'config.yml'] as const;
  interface Pushed {
    readonly changed: boolean;
    readonly before: number;
    readonly version: number;
    readonly config: Record<string, unknown>;
  }
  const push = async (...argv: string[]): Promise<Pushed> =>
    checkPrinted('tunnel config push', await ok('push', 'shop', ...mine, '-o', 'json', ...argv)) as Pushed;

  it('makes versions, and only for changes', async () => {
    assert.match(
      await ok('push', 'shop', ...mine, '--dry-run'),
      /^\+ingress:\n[\s\S]*Version 0 at the edge would change\n$/,
    );
    assert.match(await ok('push', 'shop', ...mine), /\nVersion 1 replaces version 0\n$/);
    assert.equal(await ok('push', 'shop', ...mine), 'Version 1 at the edge is the same\n');
    write('config.yml', local.replace('5432', '5433'));
    const shown = await ok('diff', 'shop', ...mine);
    assert.match(shown, /^- {4}service: tcp:\/\/localhost:5432\n\+ {4}service: tcp:\/\/localhost:5433$/m);
    const difference = checkPrinted('tunnel config diff', await ok('diff', 'shop', ...mine, '-o', 'json'));
    assert.equal((difference as { same: boolean }).same, false);
    const { config, ...pushed } = await push();
    assert.deepEqual([pushed.changed, pushed.before, pushed.version], [true, 1, 2]);
    // Defaults of all rules go into each, durations become seconds; settings of the process stay here.
    assert.deepEqual(Object.keys(config), ['ingress', 'warp-routing']);
    const [first] = config.ingress as { originRequest: Record<string, unknown> }[];
    assert.deepEqual(first?.originRequest, { connectTimeout: 90, httpHostHeader: 'shop.internal', noTLSVerify: true });
    assert.equal(await ok('diff', 'shop', ...mine), 'Version 2 at the edge is the same\n');
  });

  it('comes back as it went, into a file that keeps its other settings and comments', async () => {
    await push();
    const printed = parse(await ok('pull', 'shop')) as Record<string, unknown>;
    assert.deepEqual(Object.keys(printed), ['ingress', 'warp-routing']);
    const json = checkPrinted('tunnel config pull', await ok('pull', 'shop', '-o', 'json')) as { version: number };
    assert.equal(json.version, 1);

    await ok('pull', 'shop', '--into', 'new.yml');
    assert.deepEqual(parse(readFileSync(path('new.yml'), 'utf8')), printed);
    assert.equal(await ok('diff', 'shop', '--config', 'new.yml'), 'Version 1 at the edge is the same\n');

    write('config.yml', local.replace('8443', '9443'));
    assert.match(await ok('pull', 'shop', '--into', 'config.yml'), /^-.*9443\n[\s\S]*Version 1 is in config\.yml\n$/m);
    const text = readFileSync(path('config.yml'), 'utf8');
    assert.match(text, /^# of the shop\ntunnel: shop\nloglevel: debug # while we look\n/);
    assert.equal(await ok('diff', 'shop', ...mine), 'Version 1 at the edge is the same\n');
    assert.equal((await push()).changed, false);
  });

  it('refuses what would be lost, and changes nothing then', async () => {
    const none = await run('pull', 'shop');
    assert.deepEqual([none.code, /holds no configuration/.test(none.stderr)], [1, true]);
    write('config.yml', local.replace('1m30s', '1500ms'));
    const lossy = await run('push', 'shop', ...mine);
    assert.equal(lossy.code, 3);
    assert.match(lossy.stderr, /config\.yml: the edge cannot hold a fraction of a second in connectTimeout/);
    write('config.yml', 'loglevel: debug\n');
    assert.equal((await run('push', 'shop', ...mine)).code, 3);
    assert.equal((await run('push', 'nosuch', '--config', 'config.yml', '--url', 'http://localhost:1')).code, 1);
    assert.match((await run('pull', 'shop')).stderr, /holds no configuration/);

    // Another program of the account set what no config file has.
    write('config.yml', local);
    const { config } = await push();
    await putRemote({ ...config, somethingNew: { of: 'the dashboard' } });
    const unknown = await run('pull', 'shop', '--into', 'config.yml');
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /has keys that would be lost: somethingNew/);
    assert.equal(readFileSync(path('config.yml'), 'utf8'), local);
    write('broken.yml', 'ingress: [\n');
    await putRemote(config);
    assert.equal((await run('pull', 'shop', '--into', 'broken.yml')).code, 3);
    assert.equal(readFileSync(path('broken.yml'), 'utf8'), 'ingress: [\n');
  });

  async function putRemote(config: Record<string, unknown>): Promise<void> {
    const list = JSON.parse((await runPostern(edge.home, ['tunnel', 'list', '-o', 'json'])).stdout) as { id: string }[];
    const { accountId, apiToken } = edge.accounts.cert;
    const url = `${edge.apiUrl}/accounts/${accountId}/cfd_tunnel/${list[0]?.id}/configurations`;
    const headers = { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' };
    const answer = await fetch(url, { method: 'PUT', headers, body: JSON.stringify({ config }) });
    assert.equal(answer.status, 200, await answer.text());
  }

  it('shows changes with the lines around them', () => {
    assert.equal(diffText('a\n', 'a\n'), '');
    const lines = Array.from({ length: 20 }, (_, at) => `line ${at}`);
    const shown = diffText(`${lines.join('\n')}\n`, `${lines.with(10, 'changed').join('\n')}\n`);
    assert.deepEqual(shown.split('\n'), [
      ...['…', ' line 7', ' line 8', ' line 9', '-line 10', '+changed', ' line 11', ' line 12', ' line 13', '…', ''],
    ]);
  });
});
