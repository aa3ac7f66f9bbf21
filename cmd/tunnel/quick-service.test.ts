// Who is asked for a quick tunnel. Nobody here asks Cloudflare: the choice is made before anything is sent.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import { runPostern } from '../../test/support/run-cli.ts';
import type { CommandContext } from '../context.ts';
import { chooseQuickService, cloudflareQuickService } from './quick-service.ts';

const origin = 'http://localhost:3000';

describe('the service of quick tunnels', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'postern-quick-service-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  /** A user with, or without, a terminal to answer on. */
  const user = (answer?: string, env: Record<string, string> = {}) => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    if (answer !== undefined) stdin.write(`${answer}\n`);
    const context: CommandContext = {
      program: ['postern'],
      ...{ env, stdin, stdout, stderr, cwd: home, homeDir: home, pid: process.pid, platform: 'linux' },
      ...{ stdinIsTerminal: answer !== undefined, stderrIsTerminal: answer !== undefined },
      onSignal: () => () => undefined,
      runAgain: () => undefined,
      exitNow: code => assert.fail(`exitNow(${code})`),
    };
    return { context, said: () => text(stderr.end()) };
  };
  const pointer = (name: string) => ({
    apiUrl: `http://${name}/client/v4`,
    quickServiceUrl: `http://${name}`,
    stateDir: join(home, name),
    pid: process.pid,
  });

  it('is never Cloudflare’s unless somebody says so', async () => {
    const { code, stdout, stderr } = await runPostern(home, ['tunnel', '--url', origin]);
    assert.equal(code, 64);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^No edge runs under this user\..*--quick-service https:\/\/api\.trycloudflare\.com \[usage\.invalid\]\n/,
    );
    const named = await chooseQuickService(`${cloudflareQuickService}/`, origin, user().context);
    assert.equal(named.url, cloudflareQuickService);
  });

  it('publishes nothing when nobody said what, and nothing listens at localhost:8080', async t => {
    const { code, stdout, stderr } = await runPostern(home, ['tunnel', '--quick-service', 'http://127.0.0.1:9']);
    // Another program of this machine may listen there.
    if (stderr.includes('Requesting new quick Tunnel')) return t.skip('port 8080 is taken');
    assert.deepEqual([code, stdout], [64, '']);
    assert.match(stderr, /^No service listens at localhost:8080\. .* \[usage\.invalid\]\n/);
  });

  it('is named without a URL, and not on stdout, where scripts look for the tunnel’s', async () => {
    const service = ['--quick-service', 'http://127.0.0.1:9'];
    const { stdout, stderr } = await runPostern(home, ['tunnel', '--url', origin, ...service]);
    assert.equal(stdout, '');
    assert.match(stderr, /INF Requesting new quick Tunnel .*service=127\.0\.0\.1:9\n/);
  });

  it('is asked in spite of a config file in a searched directory, with --config empty', async () => {
    mkdirSync(join(home, '.cloudflared'));
    const file = join(home, '.cloudflared', 'config.yml');
    const service = ['--quick-service', 'http://127.0.0.1:9'];
    const run = (...flags: string[]) => runPostern(home, ['tunnel', '--url', origin, ...service, ...flags]);
    for (const [text, what] of [
      [
        'tunnel: shop\ningress:\n  - service: http://localhost:1\n',
        /start tunnel shop: .*config\.yml names it; add --config '' /,
      ],
      ['ingress:\n  - service: http://localhost:1\n', /ingress rules of .*config\.yml .*add --config '' /],
    ] as const) {
      writeFileSync(file, text);
      const refused = await run();
      assert.equal(refused.code, 64);
      assert.match(refused.stderr, what);
      assert.match((await run('--config', '')).stderr, /Requesting new quick Tunnel .*service=127\.0\.0\.1:9/);
    }
  });

  it('is not asked when flags name a tunnel that is there', async () => {
    for (const flags of [
      ['--token', 'x'],
      ['--token-file', 'x'],
      ['--credentials-contents', 'x'],
    ]) {
      const { code, stderr } = await runPostern(home, ['tunnel', ...flags, '--url', origin]);
      assert.equal(code, 64);
      assert.ok(stderr.startsWith(`${flags[0]} names a tunnel`) && stderr.includes('postern tunnel run'), stderr);
    }
  });

  it('is asked for on a terminal', async () => {
    for (const answer of ['y', 'Yes']) {
      const { context, said } = user(answer);
      assert.equal((await chooseQuickService(undefined, origin, context)).url, cloudflareQuickService);
      assert.match(await said(), /Publish http:\/\/localhost:3000 to the internet through Cloudflare.*\[y\/N\]/);
    }
    for (const answer of ['', 'n', 'maybe']) {
      await assert.rejects(chooseQuickService(undefined, origin, user(answer).context), { code: 'usage.invalid' });
    }
  });

  it('is the edge of POSTERN_STATE_DIR, else the one of the user', async () => {
    const env = { POSTERN_STATE_DIR: 'other' };
    await assert.rejects(chooseQuickService(undefined, origin, user('y', env).context), {
      code: 'usage.invalid',
      message: /No edge runs in \S+other \(POSTERN_STATE_DIR\)/,
    });
    writeEdgePointer(join(home, '.postern', 'edge'), pointer('usual'));
    assert.equal((await chooseQuickService(undefined, origin, user().context)).url, 'http://usual');
    writeEdgePointer(join(home, '.postern'), pointer('own'));
    writeEdgePointer(join(home, 'other'), pointer('other'));
    assert.equal((await chooseQuickService(undefined, origin, user().context)).url, 'http://own');
    assert.equal((await chooseQuickService('', origin, user('n', env).context)).url, 'http://other');
  });
});
