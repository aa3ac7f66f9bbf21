// The first words of TLS clients: hellos that OpenSSL and Python's ssl really sent, whole, in pieces, cut, and damaged.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { listenRaw } from '../../../test/support/origin-server.ts';
import { seededRandom } from '../../../test/support/seeded-random.ts';
import { haveTools } from '../../../test/support/tools.ts';
import { within } from '../../../test/support/wait.ts';
import { maxHelloBytes, readClientHello } from './client-hello.ts';
import { type FirstWords, peek } from './peek.ts';

/** What a program sends to a server that says nothing. */
async function helloOf(t: TestContext, command: (port: number) => readonly string[]): Promise<Buffer> {
  const heard = Promise.withResolvers<Buffer>();
  let bytes = Buffer.alloc(0);
  const port = await listenRaw(t, socket => {
    socket.on('data', chunk => {
      bytes = Buffer.concat([bytes, chunk as Buffer]);
      if (readClientHello(bytes).kind === 'more') return;
      heard.resolve(bytes);
      socket.destroy();
    });
  });
  const [file = '', ...args] = command(port);
  const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  const hello = await within(`the hello of ${file}`, heard.promise);
  child.kill();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return hello;
}

const openssl = (t: TestContext, ...args: readonly string[]) =>
  helloOf(t, port => ['openssl', 's_client', '-connect', `127.0.0.1:${port}`, ...args]);

/** The same message in records of `size` bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, fragment.length >> 8, fragment.length & 0xff), fragment);
  }
  return Buffer.concat(records);
}

/** A hello with extensions as given, type and body. */
function made(extensions: readonly (readonly [number, Buffer])[], padding = 0): Buffer {
  const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
  const encoded = extensions.map(([type, body]) => Buffer.concat([u16(type), u16(body.length), body]));
  const all = Buffer.concat([...encoded, u16(21), u16(padding), Buffer.alloc(padding)]);
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32),
    Buffer.of(0),
    u16(2),
    u16(0x1301),
    Buffer.of(1, 0),
    u16(all.length),
    all,
  ]);
  const message = Buffer.concat([Buffer.of(1, body.length >> 16), u16(body.length & 0xffff), body]);
  return inRecords(Buffer.concat([Buffer.alloc(5), message]), 16_384);
}

describe('ClientHello', () => {
  it('of OpenSSL and Python tells the server name, whole, in pieces and over several records', async t => {
    if (!(await haveTools(t, 'openssl', 'python3'))) return;
    const python = `import socket, ssl, sys
c = ssl.create_default_context(); c.set_alpn_protocols(["h2", "http/1.1"])
c.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="App.Example.test")`;
    const hellos = [
      await openssl(t, '-servername', 'App.Example.test', '-alpn', 'h2,http/1.1'),
      await openssl(t, '-servername', 'app.example.test', '-alpn', 'h2,http/1.1', '-tls1_2'),
      await helloOf(t, port => ['python3', '-c', python, String(port)]),
    ];
    for (const hello of hellos) {
      const wanted = { kind: 'hello', serverName: 'app.example.test', alpn: ['h2', 'http/1.1'], isEncrypted: false };
      assert.deepEqual(readClientHello(hello), wanted);
      assert.deepEqual(readClientHello(inRecords(hello, 100)), wanted);
      for (let length = 0; length < hello.length; length += 1)
        assert.equal(readClientHello(hello.subarray(0, length)).kind, 'more', `${length} bytes`);
    }
    const nameless = readClientHello(await openssl(t, '-noservername'));
    assert.deepEqual(nameless, { kind: 'hello', serverName: undefined, alpn: [], isEncrypted: false });
  });

  it('that is encrypted says so, and has the outer name', () => {
    const name = Buffer.from('public.example');
    const serverName = Buffer.concat([Buffer.of(0, name.length + 3, 0, 0, name.length), name]);
    const hello = made([
      [0xfe0d, Buffer.alloc(200, 1)],
      [0, serverName],
    ]);
    const read = readClientHello(hello);
    assert.deepEqual(read, { kind: 'hello', serverName: 'public.example', alpn: [], isEncrypted: true });
  });

  it('that is none, too large, or cut into too many records is told early', () => {
    assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1\r\n')).kind, 'other');
    assert.equal(readClientHello(Buffer.from('SSH-2.0-x\r\n')).kind, 'other');
    assert.equal(readClientHello(Buffer.of(22, 3, 1, 0, 0)).kind, 'other');
    assert.equal(readClientHello(Buffer.of(22, 3, 1, 0xff, 0xff)).kind, 'other');
    assert.equal(readClientHello(Buffer.of(22, 3, 1, 0, 4, 2, 0, 0, 0)).kind, 'other');
    assert.equal(readClientHello(made([], maxHelloBytes)).kind, 'too-large');
    assert.equal(readClientHello(made([], 15_000)).kind, 'hello');
    assert.equal(readClientHello(inRecords(made([]), 1)).kind, 'other');
  });

  it('with flipped bytes never does more than say that it is none', () => {
    const random = seededRandom(7);
    const name = Buffer.from('a.example');
    const hello = made(
      [
        [0, Buffer.concat([Buffer.of(0, name.length + 3, 0, 0, name.length), name])],
        [16, Buffer.of(0, 3, 2, 104, 50)],
      ],
      40,
    );
    for (let round = 0; round < 20_000; round += 1) {
      const damaged = Buffer.from(hello);
      for (let flips = 1 + random.below(4); flips > 0; flips -= 1)
        damaged[random.below(damaged.length)] = random.below(256);
      assert.match(readClientHello(damaged).kind, /^(more|other|too-large|hello)$/);
    }
  });
});

describe('peeking', () => {
  async function pair(t: TestContext): Promise<{ readonly client: Socket; readonly server: Socket }> {
    const accepted = Promise.withResolvers<Socket>();
    const port = await listenRaw(t, accepted.resolve);
    const client = connect({ port, host: '127.0.0.1' });
    client.on('error', () => undefined);
    t.after(() => client.destroy());
    return { client, server: await within('the connection', accepted.promise) };
  }

  it('leaves every byte in the socket, also of one that sends them one by one', async t => {
    const { client, server } = await pair(t);
    client.setNoDelay(true);
    const name = Buffer.from('a.example');
    const hello = made([[0, Buffer.concat([Buffer.of(0, name.length + 3, 0, 0, name.length), name])]]);
    const words = new Promise<FirstWords>(resolve => peek(server, 10_000, resolve));
    for (const byte of hello) {
      client.write(Buffer.of(byte));
      await new Promise(resolve => setImmediate(resolve));
    }
    client.end('and more');
    assert.equal((await within('the hello', words)).kind, 'hello');
    const read: Buffer[] = [];
    for await (const chunk of server) read.push(chunk as Buffer);
    assert.equal(Buffer.concat(read).toString('hex'), Buffer.concat([hello, Buffer.from('and more')]).toString('hex'));
  });

  it('gives up on who says nothing in time, and on who leaves', async t => {
    for (const leave of [false, true]) {
      const { client, server } = await pair(t);
      peek(server, leave ? 60_000 : 20, () => assert.fail('nothing was said'));
      client.write(Buffer.of(22, 3));
      if (leave) client.end();
      await within('the end', once(server, 'close'));
    }
  });
});
