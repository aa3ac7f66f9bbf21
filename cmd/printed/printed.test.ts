// What --output prints: in the shapes that cloudflared was recorded with, and valid by the published schemas.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import * as z from 'zod';
import { detailedIpRouteSchema, networkSchema } from '../../internal/schema/api/private-route.ts';
import { activeClientSchema, tunnelSchema, tunnelWithTokenSchema } from '../../internal/schema/api/tunnel.ts';
import { checkPrinted } from '../../test/support/check-printed.ts';
import { openTestControlPlane } from '../../test/support/control-plane.ts';
import { listen } from '../../test/support/origin-server.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import { commands } from '../commands.ts';
import { printIpRoute, printIpRoutes, printNetworks } from './private-documents.ts';
import { printedSchemas } from './schemas.ts';
import { type Printed, printCreatedTunnel, printTunnelInfo, printTunnels } from './tunnel-documents.ts';

const root = join(import.meta.dirname, '..', '..');
const recordedText = (name: string): string => readFileSync(join(root, 'test/vectors/stock-outputs', name), 'utf8');
const recorded = (name: string): unknown => JSON.parse(recordedText(`${name}.json`));

describe('printed documents', () => {
  const info = z.object({
    id: z.string(),
    name: z.string(),
    createdAt: z.string(),
    conns: z.array(activeClientSchema),
  });
  const cases: readonly (readonly [file: string, path: string, print: (document: unknown) => Printed])[] = [
    ['list', 'tunnel list', document => printTunnels(z.array(tunnelSchema).parse(document))],
    ['no-list', 'tunnel list', () => printTunnels([])],
    ['create', 'tunnel create', document => printCreatedTunnel(tunnelWithTokenSchema.parse(document))],
    [
      'info',
      'tunnel info',
      document => {
        const { createdAt, conns, ...tunnel } = info.parse(document);
        const rest = { created_at: createdAt, deleted_at: null, connections: [] };
        return printTunnelInfo({ ...tunnel, ...rest }, conns);
      },
    ],
    ['routes', 'tunnel route ip show', document => printIpRoutes(z.array(detailedIpRouteSchema).parse(document))],
    ['no-routes', 'tunnel route ip show', () => printIpRoutes([])],
    ['networks', 'tunnel vnet list', document => printNetworks(z.array(networkSchema).parse(document))],
  ];
  for (const [file, path, print] of cases) {
    it(`${file} is as cloudflared prints it, key by key`, () => {
      const printed = print(recorded(file));
      const text = `${JSON.stringify(printed.json, null, 2)}\n`;
      assert.equal(text, recordedText(`${file}.json`));
      checkPrinted(path, text);
      const yaml = stringify(printed.yaml);
      assert.deepEqual(parse(yaml), parse(recordedText(`${file}.yaml`)));
      // In the same order, too.
      const keys = (shown: string): string[] => shown.match(/^[ -]*[a-z]+:/gm)?.map(key => key.trim()) ?? [];
      assert.deepEqual(
        keys(yaml).map(key => key.replace(/^- +/, '')),
        keys(recordedText(`${file}.yaml`)).map(key => key.replace(/^- +/, '')),
      );
    });
  }

  it('tables are as cloudflared prints them, column by column', async t => {
    const calls: Readonly<Record<string, string>> = {
      '/accounts/a/cfd_tunnel': 'list',
      '/accounts/a/cfd_tunnel?name=none': 'no-list',
      '/accounts/a/teamnet/routes': 'routes',
      '/accounts/a/teamnet/routes?comment=nono': 'no-routes',
      '/accounts/a/teamnet/virtual_networks': 'networks',
    };
    const [first] = recorded('list') as { id: string }[];
    const tunnelId = first?.id ?? '';
    const answer = (url: URL): unknown => {
      const filter = [...url.searchParams].find(([key]) => key === 'name' || key === 'comment');
      const file = calls[`${url.pathname}${filter === undefined ? '' : `?${filter.join('=')}`}`];
      if (file !== undefined) return recorded(file) ?? [];
      return url.pathname.endsWith('/connections') ? (recorded('info') as { conns: unknown }).conns : first;
    };
    const server = createServer((request, response) => {
      const result = answer(new URL(request.url ?? '', 'http://api'));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ success: true, errors: [], messages: [], result }));
    });
    const port = await listen(t, server);
    const home = await temporaryDirectory(t);
    const cert = { zoneID: 'z', accountID: 'a', apiToken: 't' };
    const body = Buffer.from(JSON.stringify(cert)).toString('base64');
    await writeFile(
      join(home, 'cert.pem'),
      `-----BEGIN ARGO TUNNEL TOKEN-----\n${body}\n-----END ARGO TUNNEL TOKEN-----\n`,
      { mode: 0o600 },
    );
    const shown: readonly (readonly [file: string, args: readonly string[]])[] = [
      ['list', ['list']],
      ['no-list', ['list', '--name', 'none']],
      ['info', ['info', tunnelId]],
      ['routes', ['route', 'ip', 'show']],
      ['no-routes', ['route', 'ip', 'show', '--filter-comment-is', 'nono']],
      ['networks', ['vnet', 'list']],
    ];
    for (const [file, args] of shown) {
      const where = ['--api-url', `http://127.0.0.1:${port}`, '--origincert', 'cert.pem'];
      const { stdout, stderr } = await runPostern(home, ['tunnel', ...args, ...where]);
      assert.equal(stdout, recordedText(`${file}.txt`).replaceAll('cloudflared', 'postern'), stderr);
    }
  });

  it('trims fractions of seconds, masks of odd length, and a route without a network', () => {
    const [route] = z.array(detailedIpRouteSchema).parse(recorded('routes'));
    assert.ok(route !== undefined);
    const shown = printIpRoute({ ...route, network: '10.0.0.0/9', created_at: '2026-01-02T03:04:05.960Z' });
    assert.deepEqual((shown.yaml as { network: unknown }).network, { ip: '10.0.0.0', mask: [255, 128, 0, 0] });
    assert.equal((shown.json as { created_at: string }).created_at, '2026-01-02T03:04:05.96Z');
    const whole = printIpRoute({ ...route, created_at: '2026-01-02T03:04:00.000Z', virtual_network_id: undefined });
    assert.equal((whole.yaml as { createdat: string }).createdat, '2026-01-02T03:04:00Z');
    assert.equal((whole.yaml as { vnetid: unknown }).vnetid, null);
    assert.ok(!JSON.stringify(whole.json).includes('virtual_network_id'));
  });

  it('has a schema for every command with --output json', async () => {
    const printing: string[] = [];
    for (const { path, load } of commands) {
      const { command } = await load();
      if (command.flags.some(({ name, description }) => name === 'output' && description.includes('json')))
        printing.push(path);
    }
    assert.deepEqual(Object.keys(printedSchemas), printing);
  });

  it('is valid as the commands print it against a real control plane', async () => {
    await using edge = await openTestControlPlane();
    const run = (...argv: string[]) => runPostern(edge.home, argv);
    const shown = async (path: string, ...rest: string[]): Promise<unknown> => {
      const { stdout, stderr } = await run(...path.split(' '), '-o', 'json', ...rest);
      assert.notEqual(stdout, '', stderr);
      return checkPrinted(path, stdout);
    };
    assert.equal(await shown('tunnel list'), null);
    assert.equal(await shown('tunnel route ip show'), null);
    assert.deepEqual(await shown('tunnel route hostname show'), []);
    const created = (await shown('tunnel create', 'web')) as { token: string };
    assert.match(Buffer.from(created.token, 'base64').toString(), /^\{"a":/);
    await run('tunnel', 'route', 'ip', 'add', '10.0.0.0/8', 'web', 'a comment');
    await run('tunnel', 'route', 'hostname', 'add', 'db.internal', 'web');
    assert.equal(((await shown('tunnel route ip list')) as unknown[]).length, 1);
    assert.equal(((await shown('tunnel route hostname list')) as unknown[]).length, 1);
    assert.notEqual(await shown('tunnel route ip get', '10.1.2.3'), null);
    await run('tunnel', 'route', 'ip', 'add', '10.1.0.0/16', 'web');
    await run('tunnel', 'route', 'dns', 'web', 'app');
    for (const line of [
      ['tunnel route ip get', '--all-vnets', '10.1.2.3'],
      ['tunnel route ip overlaps'],
      ['tunnel route explain', '10.0.0.0/8'],
      ['tunnel route explain', 'db.internal'],
      ['tunnel route dns list'],
      ['tunnel list', '--long'],
      ['tunnel info', '--long', 'web'],
    ] as const) {
      const [path, ...rest] = line;
      assert.notEqual((await shown(path, ...rest)) ?? [], [], path);
    }
    assert.equal(await shown('tunnel route ip get', '192.0.2.1'), null);
    for (const path of ['tunnel list', 'tunnel vnet list', 'version']) await shown(path);
    await shown('tunnel info', 'web');
    await shown('explain', 'http://127.0.0.1:1/');
    await shown('doctor');
  });
});
