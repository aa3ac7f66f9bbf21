// The native module: which binary is used, that it belongs to the sources, and that nothing from JavaScript or a panic
// can do harm.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Later, quicIdentity } from '../../test/support/quic-pair.ts';
import { isPosternError } from '../errors/error.ts';
import { eventKind, loadNative, type NativeEndpoint, nativePaths, readNative, stateLength } from './native.ts';
import { nativeSettings } from './settings.ts';
import { nativeSourceHash, sourceHashFile } from './source-hash.ts';

const here = dirname(fileURLToPath(import.meta.url));

async function createRaw(
  test: TestContext,
  onEvents: (count: number, texts: readonly string[] | undefined) => void = () => undefined,
): Promise<NativeEndpoint> {
  const { ca } = await quicIdentity();
  const settings = nativeSettings({ bind: '127.0.0.1:0', alpn: ['a'], roots: [ca.cert] });
  const endpoint = loadNative().createEndpoint(settings, onEvents);
  test.after(() => endpoint.destroy());
  return endpoint;
}

describe('quic native module', () => {
  it('has committed binaries that were built from the committed sources', () => {
    for (const [platform, remake] of [
      ['linux-x64-gnu', '--prebuilt'],
      ['linux-arm64-gnu', '--arm64'],
    ] as const) {
      const folder = join(here, 'prebuilt', platform);
      const noted = readFileSync(join(folder, sourceHashFile), 'utf8').trim();
      assert.equal(noted, nativeSourceHash(join(here, 'native')), `npm run build:native -- ${remake}`);
      assert.ok(existsSync(join(folder, 'postern-quic.node')));
    }
  });

  it('says that QUIC is not available where no binary loads', t => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-quic-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const broken = join(folder, 'broken.node');
    writeFileSync(broken, 'not a library');
    for (const paths of [[], [join(folder, 'missing.node')], [broken]]) {
      assert.throws(
        () => readNative(paths),
        error => isPosternError(error, 'unavailable') && error.message.includes('not available'),
      );
    }
    assert.equal(typeof readNative([broken, ...nativePaths]).createEndpoint, 'function');
  });

  it('refuses settings that make no sense, naming them', async () => {
    const { ca } = await quicIdentity();
    const good = nativeSettings({ bind: '127.0.0.1:0', alpn: ['a'], roots: [ca.cert] });
    const wrong: [Partial<typeof good>, RegExp][] = [
      [{ bind: 'nowhere' }, /nowhere/],
      [{ streamWindow: -1 }, /streamWindow/],
      [{ streamWindow: Number.NaN }, /streamWindow/],
      [{ maxStreams: 1.5 }, /maxStreams/],
      [{ congestion: 'hope' }, /hope/],
      [{ roots: 'no certificate' }, /root certificate/],
      [{ cert: ca.cert, key: 'no key' }, /key/],
      [{ idleTimeoutMs: undefined as unknown as number }, /idleTimeoutMs/],
    ];
    for (const [change, message] of wrong)
      assert.throws(() => loadNative().createEndpoint({ ...good, ...change }, () => undefined), { message });
  });

  it('does nothing for numbers that name no connection or stream', async t => {
    const raw = await createRaw(t);
    const bytes = Buffer.alloc(100);
    for (const handle of [0, -1, 1, 0.5, 2 ** 20, 2 ** 52 + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(raw.openStream(handle), -2);
      assert.equal(raw.write(handle, 0, bytes, true), -2);
      assert.equal(raw.read(handle, 0, bytes, 0), 0);
      assert.equal(raw.sendDatagram(handle, bytes, 100), -2);
      assert.throws(() => raw.sendDatagram(handle, bytes, 101), { message: /length is outside of the buffer/ });
      assert.equal(raw.stats(handle), 0);
      assert.equal(raw.remoteAddress(handle), '');
      raw.close(handle, 0, '');
    }
    const handle = raw.connect('127.0.0.1:9', 'name');
    for (const stream of [0, 1, 2, 3, 4, -1, 0.5, 2 ** 62, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(raw.write(handle, stream, bytes, true), -2);
      assert.equal(raw.read(handle, stream, bytes, 0), 0);
      assert.equal(raw.receivedReset(handle, stream), -1);
      raw.reset(handle, stream, 0);
      raw.stop(handle, stream, 0);
    }
  });

  it('throws for arguments of the wrong kind, and goes on', async t => {
    const raw = await createRaw(t);
    const wrong = (value: unknown): never => value as never;
    assert.throws(() => raw.openStream(wrong('x')), /number/);
    assert.throws(() => raw.openStream(wrong(undefined)), /number/);
    assert.throws(() => raw.write(0, 0, wrong('text'), true), /Buffer/);
    assert.throws(() => raw.read(0, 0, Buffer.alloc(4), 5), /offset/);
    assert.throws(() => raw.close(0, -1, ''), /code/);
    assert.throws(() => raw.reset(0, 0, 2 ** 62), /code/);
    assert.throws(() => raw.connect('host:1', ''), /IP:port/);
    assert.throws(() => raw.connect('127.0.0.1:0', 'name'), /connect/);
    assert.match(raw.address(), /^127\.0\.0\.1:\d+$/);
  });

  it('contains a panic: it is thrown, the endpoint ends and says so, the process lives', async t => {
    const failed = new Later<string>();
    const raw: NativeEndpoint = await createRaw(t, (count, texts) => {
      assert.equal(count, 1);
      assert.equal(raw.memory[stateLength], eventKind.failed);
      failed.resolve(texts?.[0] ?? '');
    });
    assert.throws(() => raw.provokePanic(), { code: 'ERR_PANIC' });
    assert.match(await failed.promise, /provoked by a test \(.*calls\.rs:\d+/);
    assert.equal(raw.address(), '');
    assert.equal(raw.endpointStats(), 0);
  });

  it('cleans up with a worker thread that ends without closing', async () => {
    const { ca } = await quicIdentity();
    const code = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { openEndpoint } = await import(workerData.module);
      const endpoint = openEndpoint({ bind: '127.0.0.1:0', alpn: ['a'], roots: [workerData.root] });
      endpoint.connect({ address: '127.0.0.1', port: 9, serverName: 'x', timeoutMs: 60000 }).catch(() => undefined);
      setImmediate(() => process.exit(7));
    `;
    const module = new URL('./endpoint.ts', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { module, root: ca.cert },
    });
    const exit = new Later<number>();
    worker.on('exit', exit.resolve);
    assert.equal(await exit.promise, 7);
  });
});
