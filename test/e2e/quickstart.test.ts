// `npm run quickstart -- --once` as a user runs it, with a home of its own; the usual ports may be taken.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listen } from '../support/origin-server.ts';
import { temporaryDirectory } from '../support/program.ts';
import { within } from '../support/wait.ts';

const script = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'scripts', 'quickstart.ts');

async function quickstart(t: TestContext, args: readonly string[]) {
  const home = await temporaryDirectory(t);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    cwd: home,
    env: { HOME: home, PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const closed = new Promise<number | null>(resolve => child.once('close', resolve));
  t.after(() => child.kill('SIGTERM'));
  const code = await within('the quickstart to end', closed, 90_000);
  return { code, output };
}

describe('quickstart', { timeout: 240_000 }, () => {
  it('shows a public URL and what came through it, and leaves nothing running', async t => {
    const { code, output } = await quickstart(t, ['--once']);
    assert.equal(code, 0, output);
    assert.match(output, /^http:\/\/[a-z]+-[a-z]+-[a-z]+-\d+\.localhost:\d+ ⟶ http:\/\/localhost:\d+$/m);
    assert.match(output, /^Answer: 200 OK, \d+ bytes over (http2|quic)/m);
    assert.match(output, / in all +\d+\.\d ms$/m);
    const port = Number(/\.localhost:(\d+) ⟶/.exec(output)?.[1]);
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => socket.destroy()).end();
    });
    assert.equal(open, false);
  });

  it('publishes a service of the user, with the usual ports taken', async t => {
    // Whoever has them already, they are taken.
    for (const port of [8080, 7844, 7845]) {
      const taker = createServer().on('error', () => undefined);
      taker.listen(port, '127.0.0.1');
      t.after(() => taker.close());
    }
    const origin = await listen(
      t,
      createServer((message, response) => response.end(`the user's own service was asked for ${message.url}`)),
    );
    const { code, output } = await quickstart(t, ['--once', '--url', `http://127.0.0.1:${origin}`]);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`^http://\\S+\\.localhost:(?!8080)\\d+ ⟶ http://127\\.0\\.0\\.1:${origin}$`, 'm'));
    assert.match(output, /the user's own service was asked for \//);
  });

  it('says so when the service of the user does not answer', async t => {
    const { code, output } = await quickstart(t, ['--once', '--url', 'http://127.0.0.1:9']);
    assert.equal(code, 1, output);
    assert.match(output, /502/);
    assert.match(output, /origin/);
  });
});
