// Two edges on one state, one connector with connections to both, all of them the real program: one edge is killed, the
// other carries on; then the other way round.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { listen } from '../support/origin-server.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { until, within } from '../support/wait.ts';

interface RunningEdge {
  readonly program: Program;
  readonly connectorPort: string;
  readonly httpPort: string;
}

async function startEdge(t: TestContext, home: string, connectorPort = '0'): Promise<RunningEdge> {
  const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', connectorPort, '--api', '127.0.0.1:0'];
  const program = startProgram(t, ['edge', 'run', ...ports], { home });
  await program.logged(/Edge ready/);
  const [, connectors = ''] = await program.logged(/Listening for connectors address=\S+:(\d+)/);
  const [, visitors = ''] = await program.logged(/Listening for HTTP visitors address=\S+:(\d+)/);
  return { program, connectorPort: connectors, httpPort: visitors };
}

async function run(t: TestContext, home: string, args: readonly string[]): Promise<string> {
  const program = startProgram(t, args, { home });
  assert.equal(await within(args.join(' '), program.exited), 0, program.log());
  return program.output();
}

function get(port: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path: '/', headers: { Host: 'app.localhost' } }, response => {
      let text = '';
      response.on('data', chunk => {
        text += chunk;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.once('error', reject);
    });
    call.once('error', reject);
    call.end();
  });
}

describe('two edges', () => {
  for (const protocol of ['http2', 'quic']) {
    it(`one is killed, the other carries on, and the other way round, over ${protocol}`, async t => {
      const home = await temporaryDirectory(t);
      const port = await listen(
        t,
        createServer((_request, response) => response.end('from the origin')),
      );
      const first = await startEdge(t, home);
      await run(t, home, ['tunnel', 'create', 'home']);
      await run(t, home, ['tunnel', 'route', 'dns', 'home', 'app']);
      const tokenFile = join(home, 'token');
      await writeFile(tokenFile, await run(t, home, ['tunnel', 'token', 'home']), { mode: 0o600 });
      const second = await startEdge(t, home);
      const edges = [first, second].flatMap(edge => ['--edge', `127.0.0.1:${edge.connectorPort}`]);
      const options = ['--url', `http://127.0.0.1:${port}`, '--metrics', '127.0.0.1:0', '--protocol', protocol];
      const connector = startProgram(t, ['tunnel', ...options, ...edges, 'run', '--token-file', tokenFile], { home });
      const registered = (): number => connector.log().split('Registered tunnel connection').length - 1;
      await until('four connections', () => registered() === 4);
      for (const edge of [first, second])
        assert.deepEqual(await get(edge.httpPort), { status: 200, text: 'from the origin' });

      first.program.child.kill('SIGKILL');
      await first.program.exited;
      for (let round = 0; round < 50; round += 1) {
        assert.deepEqual(await get(second.httpPort), { status: 200, text: 'from the origin' });
      }

      // Then the other way round: the restarted one takes over from the survivor.
      const again = await startEdge(t, home, first.connectorPort);
      second.program.child.kill('SIGKILL');
      await second.program.exited;
      await until('the restarted edge serves', async () => (await get(again.httpPort)).status === 200, 60_000);
      connector.child.kill('SIGTERM');
      assert.equal(await within('the exit', connector.exited), 0);
    });
  }
});
