// `npm run quickstart -- --once` as a user runs it, with a home of its own; the usual ports may be taken.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listen } from '../support/origin-server.ts';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { until, within } from '../support/wait.ts';

const script = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'scripts', 'quickstart.ts');

async function startQuickstart(t: TestContext, args: readonly string[], given?: string) {
  const home = given ?? (await temporaryDirectory(t));
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
  return { pid: child.pid ?? 0, closed, output: () => output };
}

async function quickstart(t: TestContext, args: readonly string[], home?: string) {
  const { closed, output } = await startQuickstart(t, args, home);
  return { code: await within('the quickstart to end', closed, 90_000), output: output() };
}

/** The child of `pid` whose command line has `word`, from proc(5). */
function childWith(pid: number, word: string): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
  const found = children.find(child => readFileSync(`/proc/${child}/cmdline`, 'latin1').split('\0').includes(word));
  return Number(found ?? assert.fail(`no child of ${pid} has ${word}`));
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

  it('explains itself, also to who mistypes', async t => {
    const help = await quickstart(t, ['--help']);
    assert.equal(help.code, 0);
    assert.match(help.output, /--url URL/);
    const wrong = await quickstart(t, ['--urll', 'x']);
    assert.equal(wrong.code, 64);
    assert.match(wrong.output, /'--urll'[\s\S]*--url URL/);
    for (const { output } of [help, wrong]) assert.doesNotMatch(output, /^ {4}at /m);
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

  it('leaves an edge of the user, and what commands know of it, alone', async t => {
    const home = await temporaryDirectory(t);
    const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
    const edge = startProgram(t, ['edge', 'run', ...ports], { home });
    await edge.logged(/Edge ready/);
    const files = ['edge.json', 'edge/edge.json', 'edge/cert.pem'].map(name => join(home, '.postern', name));
    const read = (): readonly string[] => files.map(file => readFileSync(file, 'utf8'));
    const before = read();
    const { code, output } = await quickstart(t, ['--once'], home);
    assert.equal(code, 0, output);
    assert.deepEqual(read(), before);
    assert.deepEqual(readdirSync(join(home, '.postern')).toSorted(), ['edge', 'edge.json']);
  });

  it('says so when the service of the user does not answer', async t => {
    const { code, output } = await quickstart(t, ['--once', '--url', 'http://127.0.0.1:9']);
    assert.equal(code, 1, output);
    assert.match(output, /502/);
    assert.match(output, /origin/);
  });

  const withoutProc = process.platform === 'linux' ? false : 'finds its processes in /proc';
  for (const [part, word] of [
    ['edge', 'edge'],
    ['connector', '--quick-service'],
  ] as const) {
    it(`ends when the ${part} dies, and says so`, { skip: withoutProc }, async t => {
      const { pid, closed, output } = await startQuickstart(t, []);
      await until('the quickstart to serve', () => output().includes('Serving until Ctrl-C.'), 90_000);
      process.kill(childWith(pid, word), 'SIGKILL');
      assert.equal(await within('the quickstart to end', closed), 1, output());
      assert.match(output(), new RegExp(`^The ${part} ended by itself \\(SIGKILL\\):\\n\\{.*"message":`, 'm'));
    });
  }
});
