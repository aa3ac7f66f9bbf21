// npm run interop as a user runs it, without a stock cloudflared, which no test may need.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ChildProgram, repository, startChild } from '../../support/child-program.ts';
import { temporaryDirectory } from '../../support/program.ts';
import { until, within } from '../../support/wait.ts';

interface Interop {
  readonly program: ChildProgram;
  readonly home: string;
  /** Where scenarios have their directories. */
  readonly temporary: string;
}

async function startInterop(t: TestContext, args: readonly string[]): Promise<Interop> {
  const home = await temporaryDirectory(t);
  const temporary = join(home, 'tmp');
  await mkdir(temporary);
  const main = join(repository, 'test', 'interop', 'stock', 'main.ts');
  const program = startChild([process.execPath, '--disable-warning=ExperimentalWarning', main, ...args], {
    home,
    env: { TMPDIR: temporary },
  });
  t.after(() => program.stop());
  return { program, home, temporary };
}

describe('npm run interop', () => {
  it('tries our own program alone without --peer', async t => {
    const { program, temporary } = await startInterop(t, ['--only', 'quick']);
    const code = await within('the end', program.exited, 120_000);
    assert.match(program.output(), /^family +scenario +postern \(postern version /m);
    assert.match(program.output(), /^quick +a quick tunnel over http2 +ok$/m);
    assert.match(program.output(), /^quick +a quick tunnel over quic +ok$/m);
    assert.equal(code, 0, program.output());
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('ends with 1 and says why when a scenario of a peer fails, and goes on with the others', async t => {
    const peer = join(await temporaryDirectory(t), 'cloudflared');
    await writeFile(peer, '#!/bin/sh\n[ "$1" = version ] && exec echo none 0\necho out of order >&2\nexit 3\n', {
      mode: 0o755,
    });
    const { program } = await startInterop(t, ['--peer', peer, '--only', 'quick']);
    assert.equal(await within('the end', program.exited, 120_000), 1);
    assert.match(program.output(), /^family +scenario +stock \(none 0\) +postern \(/m);
    assert.match(program.output(), /^quick +a quick tunnel over quic +failed: The connector ended with 3: +ok$/m);
    assert.match(program.output(), /^quick, a quick tunnel over quic, stock \(none 0\):\n.*\n {2}out of order$/m);
  });

  it('ends with 64 when the peer is not there, or says no version', async t => {
    for (const [peer, why] of [
      ['/nonexistent/cloudflared', /there is nothing at \/nonexistent\/cloudflared/],
      ['/bin/false', /\/bin\/false version did not print a version/],
    ] as const) {
      const { program } = await startInterop(t, ['--peer', peer]);
      assert.equal(await within('the end', program.exited), 64);
      assert.match(program.log(), why);
    }
  });

  it('leaves nothing behind when it is stopped', async t => {
    const { program, temporary } = await startInterop(t, ['--only', 'named']);
    await until('a scenario to begin', () => readdirSync(temporary).length > 0);
    program.child.kill('SIGTERM');
    assert.equal(await within('the end', program.exited), 1);
    assert.deepEqual(readdirSync(temporary), []);
  });
});
