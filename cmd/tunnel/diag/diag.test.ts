// `tunnel diag` where there is nothing to write, and at a process that runs several tunnels.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { openHealthServer } from '../../../internal/management/health-server.ts';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { runPostern } from '../../../test/support/run-cli.ts';

describe('postern tunnel diag', () => {
  it('writes no file when nobody answers at the address', async t => {
    const home = await temporaryDirectory(t);
    const closed = createServer();
    const port = await new Promise<number>(resolve => {
      closed.listen(0, '127.0.0.1', () => {
        const address = closed.address();
        closed.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
    });
    const { code, stderr } = await runPostern(home, ['tunnel', '--metrics', `127.0.0.1:${port}`, 'diag']);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`No connector answers at http://127\\.0\\.0\\.1:${port} `));
    assert.deepEqual(await readdir(home), []);
  });

  it('takes a process of several tunnels as one instance', async t => {
    const home = await temporaryDirectory(t);
    const source = (tunnelId: string) => ({
      ...{ version: '1', tunnelId, connectorId: tunnelId, settings: {} },
      connections: () => [],
      icmpSources: () => [],
      checkEdge: () => Promise.resolve({}),
    });
    const server = await openHealthServer({
      listen: { host: '127.0.0.1', port: 0 },
      source: {
        ...{ connectorId: '', readyConnections: () => 0, quickTunnelHost: () => '', configuration: () => '{}' },
        metrics: () => Promise.resolve({ text: '', contentType: 'text/plain' }),
        diagnostics: () => ['a', 'b'].map(source),
      },
    });
    t.after(() => server.close());
    const metrics = ['--metrics', `127.0.0.1:${server.address.port}`];
    const skipped = ['logs', 'network', 'runtime'].map(part => `--no-diag-${part}`);
    const { code, stderr } = await runPostern(home, ['tunnel', ...metrics, 'diag', ...skipped]);
    assert.deepEqual([code, /with one or more errors/.test(stderr)], [0, false], stderr);
  });
});
