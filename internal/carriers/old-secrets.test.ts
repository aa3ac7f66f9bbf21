// A tunnel's token is replaced under load: connectors with the old one go on until the overlap is over, and not longer.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { EdgeWorld, type KnownTunnel } from '../../test/support/edge-world.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until, within } from '../../test/support/wait.ts';
import { parseOriginCert } from '../credentials/origin-cert.ts';
import { parseToken } from '../credentials/tunnel-token.ts';

interface Answer {
  readonly result: { readonly token: string; readonly old_token_valid_until: string } | null;
  readonly errors: readonly { readonly message: string }[];
}

const rotate = (world: EdgeWorld, tunnel: KnownTunnel, seconds: unknown): Promise<Answer> =>
  call(world, 'POST', `${tunnel.id}/token/rotate`, { overlap_seconds: seconds });

async function call(world: EdgeWorld, method: string, path: string, body: object): Promise<Answer> {
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const answer = await fetch(`${world.edge.apiUrl}/accounts/${cert.accountId}/cfd_tunnel/${path}`, {
    method,
    headers: { authorization: `Bearer ${cert.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Answer;
}

/** Visits until `stop`; gives the statuses that were no 204. */
function load(t: TestContext, world: EdgeWorld, host: string): { stop(): Promise<readonly string[]> } {
  const wrong: string[] = [];
  let isOver = false;
  const one = async (): Promise<void> => {
    while (!isOver) {
      const visitor = await RawVisitor.open(t, world.httpPort);
      visitor.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      await visitor.sees('\r\n\r\n');
      const status = visitor.text.slice(9, 12);
      if (status !== '204') wrong.push(status);
      visitor.socket.destroy();
    }
  };
  const running = Promise.all([one(), one(), one()]);
  return {
    stop: async () => {
      isOver = true;
      await running;
      return wrong;
    },
  };
}

const service = [{ service: 'http_status:204' }];

it('keeps connectors with the old token through the overlap, also when they come back, and cuts them after it', async t => {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  await world.connect(tunnel, service);
  const second = await world.connect(tunnel, service);
  const visits = load(t, world, tunnel.host);
  const { result } = await rotate(world, tunnel, 3);
  const fresh = { ...tunnel, secret: Buffer.from(parseToken(result?.token ?? '').secret) };
  assert.notDeepEqual(fresh.secret, tunnel.secret);
  // One comes back with the old token, one comes with the new one.
  await second.stop(1_000);
  const third = await world.connect(tunnel, service);
  await world.connect(fresh, service);
  const again = await rotate(world, tunnel, 3);
  assert.match(again.errors[0]?.message ?? '', /is good until .*: wait, or rotate without an overlap/);
  await until('the old ones to be cut', () => world.edge.registry.connectionsOf(tunnel.id).length === 1, 10_000);
  const [left] = world.edge.registry.connectionsOf(tunnel.id);
  assert.deepEqual(left?.secret, fresh.secret);
  assert.deepEqual(await visits.stop(), [], 'visitors saw failures');
  assert.ok(Date.now() >= Date.parse(result?.old_token_valid_until ?? ''));
  assert.equal(third.connector.readyCount, 0);
});

it('ends every old token at once without an overlap, and takes no overlap that is none', async t => {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  await world.connect(tunnel, service);
  for (const seconds of [-1, 0.5, 8 * 24 * 3_600, '1', undefined])
    assert.equal((await rotate(world, tunnel, seconds)).result, null, String(seconds));
  assert.equal(world.edge.registry.connectionsOf(tunnel.id).length, 1);
  await rotate(world, tunnel, 3_600);
  assert.equal(world.edge.registry.connectionsOf(tunnel.id).length, 1);
  const { result } = await rotate(world, tunnel, 0);
  assert.notEqual(result, null);
  await until('the old one to be cut', () => world.edge.registry.connectionsOf(tunnel.id).length === 0);
  await within(
    'the refusal',
    until('a refusal', () => world.lines.some(line => line.verdict === 'wrong-secret')),
  );
});

it('ends them at every edge of the state directory', async t => {
  const world = await EdgeWorld.open(t);
  const other = await EdgeWorld.open(t, { stateDir: world.stateDir });
  const tunnel = await world.makeTunnel();
  await other.connect(tunnel, service);
  const { result } = await rotate(world, tunnel, 1);
  const fresh = { ...tunnel, secret: Buffer.from(parseToken(result?.token ?? '').secret) };
  await other.connect(fresh, service);
  const left = () => other.edge.registry.connectionsOf(tunnel.id).map(({ secret }) => secret);
  assert.equal(left().length, 2);
  await until('the old one to be cut', () => left().length === 1, 10_000);
  assert.deepEqual(left(), [fresh.secret]);
  await rotate(world, tunnel, 0);
  await until('the other one to be cut', () => left().length === 0, 10_000);
});

it('leaves connectors alone whose secret a PATCH replaces, until they come back', async t => {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  await world.connect(tunnel, service);
  const secret = Buffer.alloc(32, 7);
  const answer = await call(world, 'PATCH', tunnel.id, { tunnel_secret: secret.toString('base64') });
  assert.deepEqual(answer.errors, []);
  await world.connect({ ...tunnel, secret }, service);
  assert.equal(world.edge.registry.connectionsOf(tunnel.id).length, 2);
  await call(world, 'DELETE', `${tunnel.id}/connections`, {});
  const left = () => world.edge.registry.connectionsOf(tunnel.id).map(one => one.secret);
  await until('the new one to come back', () => left().length === 1, 10_000);
  assert.deepEqual(left(), [secret]);
  await until('the refusal of the old one', () => world.lines.some(line => line.verdict === 'wrong-secret'));
});
