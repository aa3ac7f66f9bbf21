// One of two connectors vanishes without a word while visitors wait: suspended, or killed. Requests that may be repeated are
// answered by the other, long before the idle time-outs of the transports.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, get } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { EdgeWorld, type KnownTunnel } from '../support/edge-world.ts';
import { listen } from '../support/origin-server.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { until, within } from '../support/wait.ts';

function startConnector(t: TestContext, world: EdgeWorld, tunnel: KnownTunnel, home: string, args: readonly string[]) {
  const token = encodeToken({
    accountTag: tunnel.accountTag,
    tunnelId: tunnel.id,
    secret: tunnel.secret,
    edge: [`127.0.0.1:${world.edge.connectorPort}`],
    caPin: spkiPin(new X509Certificate(world.edge.caPem)),
  });
  return startProgram(t, ['tunnel', '--metrics', '127.0.0.1:0', ...args, 'run'], {
    home,
    env: { TUNNEL_TOKEN: token },
  });
}

function ask(world: EdgeWorld, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port: world.httpPort, headers: { host }, agent: false }, response => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    request.once('error', reject);
  });
}

const endings: Readonly<Record<string, (program: Program) => void>> = {
  suspended: program => program.child.kill('SIGSTOP'),
  killed: program => program.child.kill('SIGKILL'),
};

describe('a connector that vanishes beside another', () => {
  for (const protocol of ['http2', 'quic']) {
    for (const [how, end] of Object.entries(endings)) {
      it(`costs no visitor an answer: ${how}, over ${protocol}`, async t => {
        const world = await EdgeWorld.open(t);
        const tunnel = await world.makeTunnel();
        const home = await temporaryDirectory(t);
        const origin = await listen(
          t,
          createServer((_request, response) => response.end('here')),
        );
        const args = ['--url', `http://127.0.0.1:${origin}`, '--protocol', protocol, '--ha-connections', '2'];
        const connectors = [1, 2].map(() => startConnector(t, world, tunnel, home, args));
        const [vanishing] = connectors;
        if (vanishing === undefined) return;
        t.after(() => vanishing.child.kill('SIGCONT'));
        await until('four connections', () => world.edge.registry.all().length === 4);
        assert.equal(await ask(world, tunnel.host), 200);
        end(vanishing);
        const answers = Promise.all(Array.from({ length: 20 }, () => ask(world, tunnel.host)));
        assert.deepEqual(new Set(await within('all answers', answers, 15_000)), new Set([200]));
        await until('the silent connections to be given up', () => world.edge.registry.all().length === 2);
      });
    }
  }
});
