// Public certificates of a whole edge from a real authority: asked for on demand, proven over HTTP or by TLS, renewed and
// kept. The authority is pebble; visitors check its CA.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { EdgeWorld } from '../../../test/support/edge-world.ts';
import { Pebble, type PebbleOptions } from '../../../test/support/pebble.ts';
import { until } from '../../../test/support/wait.ts';
import type { AcmeOptions, EdgeOptions } from '../../edge/options.ts';

const name = 'app.example.test';

/** An edge that asks an authority, which runs unless it says not to. */
async function openAcmeWorld(
  t: TestContext,
  options: {
    readonly edge?: Partial<EdgeOptions>;
    readonly acme?: Partial<AcmeOptions>;
    readonly pebble?: PebbleOptions;
  } = {},
) {
  const pebble = await Pebble.find(t);
  if (pebble === undefined) return undefined;
  const { directoryUrl, caPem } = pebble;
  const authority = { directoryUrl, caPem, contact: 'you@example.com', ...options.acme?.authority };
  const world = await EdgeWorld.open(t, { ...options.edge, acme: { ...options.acme, authority } });
  const start = () =>
    pebble.start({ names: [name], httpPort: world.edge.httpPort, tlsPort: world.httpsPort, ...options.pebble });
  return { pebble, world, start };
}

/** The certificate that a visitor of the name sees. */
async function visit(port: number, servername: string, ca?: string) {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, ...(ca ? { ca } : {}) });
  await once(socket, 'secureConnect');
  const { issuer, serialNumber, subjectaltname } = socket.getPeerCertificate();
  const { authorized } = socket;
  socket.destroy();
  return { issuer: String(issuer.CN), serial: serialNumber, names: subjectaltname, authorized };
}

const isPrivate = ({ issuer }: { readonly issuer: string }): boolean => issuer.startsWith('Postern edge CA');

it('gets a certificate of a routed name over HTTP, and its visitors wait for it', async t => {
  const opened = await openAcmeWorld(t);
  if (opened === undefined) return;
  const { pebble, start, world } = opened;
  await world.makeTunnel(name);
  await start();
  const seen = await visit(world.httpsPort, name, await pebble.rootPem());
  assert.deepEqual([seen.names, seen.authorized], [`DNS:${name}`, true]);
  // The same one serves on.
  assert.equal((await visit(world.httpsPort, name.toUpperCase())).serial, seen.serial);
  assert.match(pebble.log, /validate w\/ HTTP:/);
});

it('serves the private CA until the authority answers, and asks again later', async t => {
  let nowMs = Date.now();
  const opened = await openAcmeWorld(t, { acme: { now: () => nowMs, checkIntervalMs: 50 } });
  if (opened === undefined) return;
  const { start, world } = opened;
  await world.makeTunnel(name);
  assert.ok(isPrivate(await visit(world.httpsPort, name)));
  await until('a failure in the log', () => world.lines.some(({ message }) => message === 'No certificate was given'));
  await start();
  // Its time has not come: a visitor does not make the edge ask again.
  assert.ok(isPrivate(await visit(world.httpsPort, name)));
  nowMs += 3 * 60_000;
  await until('a certificate', async () => !isPrivate(await visit(world.httpsPort, name)));
});
