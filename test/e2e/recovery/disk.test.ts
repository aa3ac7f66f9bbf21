// Disks that are full, damaged or read-only under the real program: what runs goes on, what cannot be done is refused with
// the reason, and all is well again when there is room.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { afterMounts, lackingForFaults, SeenDisk, smallDisk } from '../../support/machine-faults.ts';
import { listen } from '../../support/origin-server.ts';
import { type Program, startProgram, temporaryDirectory } from '../../support/program.ts';
import { TunnelWorld } from '../../support/tunnel-world.ts';
import { until } from '../../support/wait.ts';

const skip = lackingForFaults() ?? false;
const ports = ['--connector-port', '0', '--http-port', '0', '--https-port', '-1', '--api', '127.0.0.1:0'];

describe('a full disk', { skip, timeout: 120_000 }, () => {
  it('of an edge refuses changes with the reason, serves on, and is well once there is room', async t => {
    const home = await temporaryDirectory(t);
    const stateDir = join(home, 'state');
    const args = ['edge', 'run', '--state-dir', stateDir, '--domain', 'localhost', '--loglevel', 'debug', ...ports];
    const edge = startProgram(t, args, { home, prefix: smallDisk(stateDir, 6_000) });
    await edge.logged(/Edge ready/);
    const origin = await listen(
      t,
      createServer((_request, response) => void response.end('origin')),
    );
    const [, api = ''] = await edge.logged(/Listening for API calls url=(\S+)/);
    const [, httpPort = ''] = await edge.logged(/Listening for HTTP visitors address=\S+?:(\d+)/);
    // Commands find the edge by the files that it shows to this user.
    const disk = new SeenDisk(edge.pid, stateDir);
    const connector = startProgram(t, ['tunnel', '--metrics', '127.0.0.1:0', '--url', `http://127.0.0.1:${origin}`], {
      home,
    });
    const [, host = ''] = await connector.logged(/(?:http:\/\/)(\S+\.localhost)/);
    await connector.logged(/Registered tunnel connection/);
    const quick = () =>
      fetch(new URL('/tunnel', api), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
    assert.equal((await quick()).status, 200);

    disk.fill();
    const refused = await quick();
    assert.equal(refused.status, 507);
    assert.match(
      await refused.text(),
      /The disk of the edge is full: nothing was changed\. Its operator must make room/,
    );
    await edge.logged(/Control-plane call failed.*The disk of \S+ is full/);
    assert.equal(await visit(Number(httpPort), host), 'origin');

    disk.free();
    assert.equal((await quick()).status, 200);
    assert.equal(await edge.stop(), 0);
  });

  it('of a log costs its lines, is told once on the console, and nothing else', async t => {
    const world = await TunnelWorld.open(t);
    const logs = join(world.home, 'logs');
    const connector = startConnector(t, world, ['--log-directory', logs, '--loglevel', 'debug'], smallDisk(logs, 64));
    await connector.logged(/Registered tunnel connection/);
    new SeenDisk(connector.pid, logs).fill();
    const told = /WRN The log file \S+postern\.log cannot be written, lines are lost.*ENOSPC/;
    // What is left of the last page takes some lines.
    await until('a line that is lost', async () => {
      await world.untilServed('/some');
      return told.test(connector.log());
    });
    for (let count = 0; count < 20; count += 1) await world.untilServed(`/more/${count}`);
    assert.equal(connector.log().match(/cannot be written/g)?.length, 1);
    assert.equal(await connector.stop(), 0);
  });
});

describe('a damaged file', { timeout: 60_000 }, () => {
  it('of who is connected is put aside by an edge that starts', async t => {
    const home = await temporaryDirectory(t);
    const stateDir = join(home, 'state');
    const path = join(stateDir, 'edge-presence.db');
    const startEdge = async (): Promise<Program> => {
      const edge = startProgram(t, ['edge', 'run', '--state-dir', stateDir, ...ports], { home });
      await edge.logged(/Edge ready/);
      return edge;
    };
    assert.equal(await (await startEdge()).stop(), 0);
    const sound = await readFile(path);
    const inside = Buffer.concat([sound.subarray(0, 4096), Buffer.alloc(sound.length - 4096, 0xee)]);
    for (const content of [inside, Buffer.from('not a database at all '.repeat(400))]) {
      await writeFile(path, content);
      assert.equal(await (await startEdge()).stop(), 0);
      assert.deepEqual(await readFile(`${path}.damaged`), content);
      assert.equal((await readFile(path)).subarray(0, 15).toString(), 'SQLite format 3');
    }
  });
});

describe('a file system that is read-only', { skip, timeout: 60_000 }, () => {
  const readOnly = (path: string): readonly string[] =>
    afterMounts(`mount --bind ${path} ${path}`, `mount -o remount,bind,ro ${path}`);

  it('does for a connector', async t => {
    const world = await TunnelWorld.open(t);
    const connector = startConnector(t, world, ['--pidfile', 'pid'], readOnly(world.home));
    await connector.logged(/Registered tunnel connection/);
    await connector.logged(/Unable to write pid to \S+ .*EROFS|Unable to write pid to .*error=.*EROFS/);
    await world.untilServed('/');
    assert.equal(await connector.stop(), 0);
  });

  it('is refused by an edge, with the directory and the remedy', async t => {
    const home = await temporaryDirectory(t);
    const args = ['edge', 'run', '--state-dir', join(home, 'state'), ...ports];
    const edge = startProgram(t, args, { home, prefix: readOnly(home) });
    assert.equal(await edge.exited, 1);
    assert.match(
      edge.log(),
      /The state directory \S+state cannot be used: name another with --state-dir \[file\.failed\][\s\S]*EROFS/,
    );
  });
});

async function visit(port: number, host: string): Promise<string> {
  const sent = request({ host: '127.0.0.1', port, headers: { host }, agent: false }).end();
  const [response] = await once(sent, 'response');
  return text(response);
}

function startConnector(
  t: TestContext,
  world: TunnelWorld,
  flags: readonly string[],
  prefix: readonly string[],
): Program {
  const fixed = [
    'tunnel',
    '--url',
    `http://127.0.0.1:${world.originPort}`,
    '--edge',
    `127.0.0.1:${world.connectorPort}`,
  ];
  const run = [
    '--metrics',
    '127.0.0.1:0',
    '--ha-connections',
    '1',
    ...flags,
    'run',
    '--credentials-file',
    'tunnel.json',
    'app',
  ];
  return startProgram(t, [...fixed, ...run], { home: world.home, prefix });
}
