// What a service manager hears of connector and edge, on a real notification socket.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { openNotifyPeer } from '../support/notify-peer.ts';
import { listen } from '../support/origin-server.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { refusal, SmallEdge } from '../support/small-edge.ts';
import { until, within } from '../support/wait.ts';

const linux = process.platform === 'linux' ? false : 'systemd is of Linux';

function tokenFor(edge: SmallEdge): string {
  return encodeToken({
    accountTag: 'account-tag',
    tunnelId: createTunnelId(),
    secret: Buffer.from('secret'),
    edge: [`127.0.0.1:${edge.port}`],
    caPin: spkiPin(new X509Certificate(edge.ca.cert)),
  });
}

describe('the service manager', { timeout: 120_000, skip: linux }, () => {
  it('hears when a connector is ready, reloads and stops, and that it lives', async t => {
    const edge = await SmallEdge.open();
    t.after(() => edge.close());
    const home = await temporaryDirectory(t);
    const asked = Promise.withResolvers<ServerResponse>();
    const origin = await listen(
      t,
      createServer((_request, response) => asked.resolve(response)),
    );
    const config = join(home, 'config.yml');
    const rules = `ingress: [{ service: "http://127.0.0.1:${origin}" }]`;
    await writeFile(config, rules);
    const socket = join(home, 'notify');
    const manager = await openNotifyPeer(t, socket);
    // Registration waits until the test lets it.
    edge.judge = () => refusal('not yet', true);
    const program = startProgram(
      t,
      ['tunnel', '--config', config, '--metrics', '127.0.0.1:0', '--ha-connections', '2', '-p', 'http2', 'run'],
      { home, env: { TUNNEL_TOKEN: tokenFor(edge), NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' } },
    );
    await manager.received(/^STATUS=Connecting to the edge$/);
    await until('an attempt', () => edge.attempts.length > 0);
    assert.ok(!manager.datagrams.some(datagram => datagram.includes('READY=1')), manager.datagrams.join('|'));
    edge.judge = () => undefined;
    assert.equal(await manager.received(/READY=1/), 'READY=1\nSTATUS=1 connection to the edge');
    await manager.received(/^STATUS=2 connections to the edge$/);
    const beats = (): number => manager.datagrams.filter(datagram => datagram === 'WATCHDOG=1').length;
    const before = beats();
    await until('three more signs of life', () => beats() >= before + 3);

    program.child.kill('SIGHUP');
    assert.match(await manager.received(/RELOADING=1/), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    await manager.received(/^READY=1$/);
    // A file that cannot be taken ends the reload, too.
    await writeFile(config, 'ingress: [');
    program.child.kill('SIGHUP');
    const readies = (): number => manager.datagrams.filter(datagram => datagram === 'READY=1').length;
    await until('the end of the second reload', () => readies() === 2);

    void edge.request(0).catch(() => undefined);
    const response = await asked.promise;
    program.child.kill('SIGTERM');
    assert.equal(
      await manager.received(/STOPPING=1/),
      'STOPPING=1\nSTATUS=Waiting for one request to end\nEXTEND_TIMEOUT_USEC=45000000',
    );
    response.end('done');
    assert.equal(await within('the exit', program.exited), 0);
    assert.equal(
      manager.datagrams
        .filter(datagram => datagram.startsWith('STATUS'))
        .at(-1)
        ?.includes('Waiting'),
      false,
    );
  });

  it('hears of an edge, on an abstract socket', async t => {
    const home = await temporaryDirectory(t);
    const name = `@postern-test-${process.pid}-${Math.random().toString(36).slice(2)}`;
    const manager = await openNotifyPeer(t, name);
    const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' };
    const edge = startProgram(t, ['edge', 'run', ...ports, '--grace-period', '1s'], { home, env });
    assert.equal(await manager.received(/READY=1/), 'READY=1\nSTATUS=Serving localhost');
    edge.child.kill('SIGHUP');
    await manager.received(/RELOADING=1/);
    await manager.received(/^READY=1$/);
    edge.child.kill('SIGTERM');
    assert.match(await manager.received(/STOPPING=1/), /EXTEND_TIMEOUT_USEC=16000000$/);
    assert.equal(await within('the exit', edge.exited), 0);
    // The manager watches another process.
    assert.ok(!manager.datagrams.includes('WATCHDOG=1'));
  });

  it('may be absent: the program runs all the same', async t => {
    const home = await temporaryDirectory(t);
    const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
    for (const [socket, log] of [
      [join(home, 'nobody'), /WRN The service manager does not take notifications error="No such file or directory"/],
      ['vsock:2:1', /WRN The service manager cannot be told.*vsock:2:1/],
      [`/${'x'.repeat(120)}`, /WRN The service manager cannot be told.*longer than 107 bytes/],
    ] as const) {
      const edge = startProgram(t, ['edge', 'run', ...ports], { home, env: { NOTIFY_SOCKET: socket } });
      await edge.logged(/Edge ready/);
      await edge.logged(log);
      edge.child.kill('SIGTERM');
      assert.equal(await within('the exit', edge.exited), 0);
    }
  });
});
