// A client of the v4 API that knows nothing of Postern, the way infrastructure tools work: says what is wanted, makes it,
// reads it back and finds nothing left to do.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { haveTools } from '../support/tools.ts';
import { until } from '../support/wait.ts';
import { openV4World, type V4World } from './v4-world.ts';

interface Wanted {
  readonly label: string;
  readonly kind: 'tunnel' | 'network' | 'route' | 'hostname_route' | 'record';
  readonly set: Readonly<Record<string, unknown>>;
  readonly configuration?: unknown;
}

interface Step {
  readonly do: 'apply' | 'destroy';
  /** Attributes that change before this step, by label. */
  readonly change?: Readonly<Record<string, object>>;
}

interface Outcome {
  /** What was left to do after each step. */
  readonly plans: readonly (readonly unknown[])[];
  readonly tokens: Readonly<Record<string, string>>;
}

async function declare({ apiUrl, cert }: V4World, wanted: readonly Wanted[], steps: readonly Step[]): Promise<Outcome> {
  const child = spawn('python3', [join(import.meta.dirname, 'v4_client.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const deadline = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const order = { api: apiUrl, token: cert.apiToken, account_name: 'local', zone_name: 'example.test', wanted, steps };
  child.stdin.end(JSON.stringify(order));
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  clearTimeout(deadline);
  assert.equal(errors, '');
  return JSON.parse(out) as Outcome;
}

it('a client that only knows the v4 API declares tunnels, routes and records, changes them and removes them', async t => {
  if (!(await haveTools(t, 'python3'))) return;
  const world = await openV4World(t);
  const ingress = [{ hostname: 'shop.example.test', service: world.origin }, { service: 'http_status:404' }];
  const content = '<tunnel.web>.cfargotunnel.com';
  const wanted: readonly Wanted[] = [
    { label: 'tunnel.web', kind: 'tunnel', set: { name: 'web', config_src: 'cloudflare' }, configuration: { ingress } },
    { label: 'tunnel.db', kind: 'tunnel', set: { name: 'db', config_src: 'local' } },
    { label: 'network.lab', kind: 'network', set: { name: 'lab', comment: 'the lab' } },
    ...['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', 'fd00::/64'].map(
      (network): Wanted => ({
        label: `route.${network}`,
        kind: 'route',
        set: { network, tunnel_id: '<tunnel.db>', virtual_network_id: '<network.lab>', comment: `route ${network}` },
      }),
    ),
    {
      label: 'name.db',
      kind: 'hostname_route',
      set: { hostname: 'db.lan', tunnel_id: '<tunnel.db>', comment: 'the database' },
    },
    ...['shop.example.test', '*.shops.example.test'].map(
      (name): Wanted => ({
        label: `record.${name}`,
        kind: 'record',
        set: { name, type: 'CNAME', content, proxied: true, ttl: 1, comment: 'managed' },
      }),
    ),
  ];
  const made = await declare(world, wanted, [{ do: 'apply' }, { do: 'apply' }]);
  assert.deepEqual(made.plans, [[], []]);
  const connector = world.connect(made.tokens['tunnel.web'] ?? '', 1);
  await until(
    'the service behind the tunnel',
    async () => (await world.visit('shop.example.test')) === '200 served /path',
  );

  const change = {
    'tunnel.db': { name: 'database' },
    'network.lab': { comment: 'moved' },
    'route.10.3.0.0/16': { network: '10.4.0.0/15' },
    'name.db': { hostname: 'db2.lan' },
    'record.*.shops.example.test': { content: '<tunnel.db>.cfargotunnel.com', comment: null },
  };
  // As after a loss of its state, the client finds by name what it made, and changes what differs.
  const again = await declare(world, wanted, [{ do: 'apply' }, { do: 'apply', change }, { do: 'apply' }]);
  assert.deepEqual(again.plans, [[], [], []]);
  await connector.stop();
  const changed = wanted.map(one => ({ ...one, set: { ...one.set, ...change[one.label as keyof typeof change] } }));
  const gone = await declare(world, changed, [{ do: 'apply' }, { do: 'destroy' }]);
  assert.deepEqual(gone.plans, [[], wanted.map(one => [one.label, 'missing'])]);
});
