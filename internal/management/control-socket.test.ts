import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryDirectory } from '../../test/support/program.ts';
import { askControlSocket, openControlSocket } from './control-socket.ts';

async function open(t: TestContext, answer: (question: unknown) => Promise<unknown>): Promise<string> {
  const path = join(await temporaryDirectory(t), 'x.sock');
  const server = await openControlSocket(path, answer);
  t.after(() => server[Symbol.asyncDispose]());
  return path;
}

describe('control socket', () => {
  it('answers questions of any shape, and tells errors', async t => {
    const path = await open(t, async question => {
      if (JSON.stringify(question) === '{"ask":"fail"}') throw new Error('not today');
      return { got: question };
    });
    assert.deepEqual(await askControlSocket(path, { ask: 'status' }, 5_000), { got: { ask: 'status' } });
    const large = { ask: 'x'.repeat(4_000) };
    assert.deepEqual(await askControlSocket(path, large, 5_000), { got: large });
    await assert.rejects(askControlSocket(path, { ask: 'fail' }, 5_000), {
      code: 'health.failed',
      message: /not today/,
    });
  });

  it('answers a large configuration whole', async t => {
    const path = await open(t, async () => 'y'.repeat(3_000_000));
    assert.equal(((await askControlSocket(path, {}, 5_000)) as string).length, 3_000_000);
  });

  it('ends what is too long, no JSON, or cut off, and serves the next', async t => {
    const path = await open(t, async () => 1);
    for (const text of ['x'.repeat(10_000), 'no json\n', '']) {
      const socket = connect(path);
      socket.on('error', () => undefined);
      socket.end(text);
      socket.resume();
      await once(socket, 'close');
    }
    assert.equal(await askControlSocket(path, {}, 5_000), 1);
  });

  it('takes the place of what a killed process left, and fails where there is no directory', async t => {
    const path = await open(t, async () => 1);
    const second = await openControlSocket(path, async () => 2);
    assert.equal(await askControlSocket(path, {}, 5_000), 2);
    await second[Symbol.asyncDispose]();
    await assert.rejects(
      openControlSocket(`${path}/none/x.sock`, async () => 1),
      { code: 'listen.failed' },
    );
    await assert.rejects(askControlSocket(`${path}.none`, {}, 5_000), { code: 'health.failed' });
  });

  it('gives up on a connector that says nothing', async t => {
    const path = await open(t, () => new Promise(() => undefined));
    await assert.rejects(askControlSocket(path, {}, 50), { code: 'health.failed' });
  });
});
