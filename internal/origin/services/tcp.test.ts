// TCP-type services over WebSocket: tcp, bastion, socks-proxy, proxyType socks.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { TestIncoming } from '../../../test/support/incoming.ts';
import { listenRaw } from '../../../test/support/origin-server.ts';
import { proxyTo, type TestProxy } from '../../../test/support/proxied.ts';
import { until, within } from '../../../test/support/wait.ts';
import { clientFrame, FrameReader } from '../../../test/support/websocket-client.ts';
import type { OriginRequest } from '../../schema/origin-request.ts';
import type { Service } from '../../schema/service.ts';
import { parseJump } from './tcp.ts';

const websocket = {
  kind: 'websocket',
  bodyLength: -1,
  headers: ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version', '13'],
} as const;

function tcpService(port: number | undefined): Service {
  return { kind: 'tcp', text: `tcp://127.0.0.1:${port}`, scheme: 'tcp', hostname: '127.0.0.1', port };
}

async function toService(
  t: TestContext,
  service: Service,
  originRequest: Partial<OriginRequest> = {},
): Promise<TestProxy> {
  const test = await proxyTo(service, originRequest);
  t.after(() => test.close());
  return test;
}

async function open(test: TestProxy, headers: readonly string[] = []): Promise<[TestIncoming, FrameReader]> {
  const incoming = test.request({ ...websocket, headers: [...websocket.headers, ...headers] });
  const answer = await within('the 101', incoming.response);
  assert.equal(answer.status, 101);
  assert.deepEqual(answer.headers, [
    ...['Connection', 'Upgrade', 'Sec-Websocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'Upgrade', 'websocket'],
  ]);
  return [incoming, new FrameReader(incoming.edge)];
}

const echo = (socket: Socket): void => void socket.pipe(socket);

describe('TCP over WebSocket', () => {
  it('passes binary messages of any size, and answers in messages of at most 16 KiB', async t => {
    const test = await toService(t, tcpService(await listenRaw(t, echo)));
    const [incoming, reader] = await open(test);
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) & 0xff));
    // One frame with a 64-bit length, split at awkward places; a text message that is no data; a fragmented message.
    const frame = clientFrame(2, sent);
    for (const cut of [1, 3, 9, 13, 15, 5000, frame.length]) {
      const before = [0, 1, 3, 9, 13, 15, 5000][[1, 3, 9, 13, 15, 5000, frame.length].indexOf(cut)] ?? 0;
      incoming.edge.write(frame.subarray(before, cut));
    }
    incoming.edge.write(clientFrame(1, 'not data'));
    incoming.edge.write(clientFrame(2, 'frag', { final: false }));
    incoming.edge.write(clientFrame(9, 'are you there'));
    incoming.edge.write(clientFrame(0, 'ment', { final: false }));
    incoming.edge.write(clientFrame(0, '', { final: true }));
    const expected = Buffer.concat([sent, Buffer.from('fragment')]);
    await until('the echo', () => reader.data.length >= expected.length);
    assert.ok(expected.equals(reader.data));
    const data = reader.frames.filter(candidate => candidate.opcode < 8);
    assert.ok(data.every(candidate => candidate.opcode === 2 && candidate.payload.length <= 16_384));
    assert.deepEqual(
      reader.frames.filter(candidate => candidate.opcode === 10).map(candidate => String(candidate.payload)),
      ['are you there'],
    );
    incoming.vanish();
  });

  for (const way of ['a close frame', 'the end of the stream'] as const) {
    it(`lets the origin finish after ${way} of the client`, async t => {
      const late = Buffer.alloc(1_000_000, 7);
      let received = '';
      const test = await toService(
        t,
        tcpService(
          await listenRaw(t, socket => {
            socket.on('data', chunk => (received += String(chunk)));
            socket.on('end', () => socket.end(late));
          }),
        ),
      );
      const [incoming, reader] = await open(test);
      incoming.edge.write(clientFrame(2, 'last words'));
      if (way === 'a close frame') incoming.edge.write(clientFrame(8, Buffer.from([3, 232])));
      else incoming.edge.end();
      await until('the end', () => reader.ended);
      assert.equal(received, 'last words');
      assert.ok(late.equals(reader.data));
      const last = reader.frames.at(-1);
      assert.deepEqual(
        last?.opcode === 8 ? [...last.payload] : undefined,
        way === 'a close frame' ? [3, 232] : undefined,
      );
      incoming.edge.end();
      await until('the stream to close', () => incoming.body.destroyed);
    });
  }

  it('still takes data from the client after the origin has ended', async t => {
    let received = '';
    const sockets: Socket[] = [];
    const test = await toService(
      t,
      tcpService(
        await listenRaw(t, socket => {
          sockets.push(socket);
          socket.on('data', chunk => (received += String(chunk)));
          socket.end('hello');
        }),
      ),
    );
    const [incoming, reader] = await open(test);
    await until('the end', () => reader.ended);
    assert.equal(String(reader.data), 'hello');
    incoming.edge.end(clientFrame(2, 'and after'));
    await until('the last bytes', () => received === 'and after');
    await until('both to close', () => incoming.body.destroyed && sockets[0]?.destroyed === true);
  });

  it('ends a client that breaks the protocol', async t => {
    const wrong: Readonly<Record<string, Buffer>> = {
      unmasked: Buffer.from([0x82, 1, 65]),
      reserved: Buffer.from([0xc2, 0x80, 0, 0, 0, 0]),
      opcode: Buffer.from([0x83, 0x80, 0, 0, 0, 0]),
      'control opcode': Buffer.from([0x8b, 0x80, 0, 0, 0, 0]),
      'long control': Buffer.from([0x89, 0xfe]),
      'fragmented control': Buffer.from([0x09, 0x80]),
      'lone continuation': clientFrame(0, 'x'),
      'message inside message': Buffer.concat([clientFrame(2, 'a', { final: false }), clientFrame(2, 'b')]),
      'huge length': Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    };
    const sockets = new Set<Socket>();
    const port = await listenRaw(t, socket => void sockets.add(socket.resume()));
    const test = await toService(t, tcpService(port));
    for (const [name, bytes] of Object.entries(wrong)) {
      const [incoming] = await open(test);
      incoming.edge.write(bytes);
      await until(`${name}: the stream to be reset`, () => incoming.edge.destroyed);
    }
    await until('the origin connections to close', () => [...sockets].every(socket => socket.destroyed));
  });

  it('refuses before the 101 when the origin is down, and what is no WebSocket request', async t => {
    const test = await toService(t, tcpService(1));
    await assert.rejects(test.request(websocket).response, /Unable to reach.*ECONNREFUSED/);
    const plain = test.request();
    assert.equal((await plain.response).status, 426);
    assert.match((await plain.bytes()).toString(), /WebSocket/);
    const noPort = await toService(t, tcpService(undefined));
    await assert.rejects(noPort.request(websocket).response, /no port/);
  });

  it('stops the origin when the client does not read', async t => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const port = await listenRaw(t, socket => {
      const more = (): void => {
        while (written < 256 << 20 && !socket.destroyed) {
          written += chunk.length;
          if (!socket.write(chunk)) break;
        }
      };
      socket.on('drain', more);
      more();
    });
    const test = await toService(t, tcpService(port));
    const incoming = test.request(websocket);
    await incoming.response;
    let before = -1;
    await until('the origin to stop', () => {
      const still = written === before;
      before = written;
      return still;
    });
    assert.ok(written < 32 << 20, `${written} bytes taken from the origin`);
    incoming.vanish();
  });
});

describe('bastion', () => {
  const service: Service = { kind: 'bastion', text: 'bastion' };

  it('goes where the client says', async t => {
    const port = await listenRaw(t, echo);
    const test = await toService(t, service);
    const [incoming, reader] = await open(test, ['cf-access-jump-destination', `ssh://127.0.0.1:${port}/x`]);
    incoming.edge.write(clientFrame(2, 'hi'));
    await until('the echo', () => String(reader.data) === 'hi');
    incoming.vanish();
    await assert.rejects(test.request(websocket).response, /Did not receive final destination from client/);
  });

  it('reads destinations', () => {
    const target = (host: string, port: number) => ({ kind: 'tcp', host, port });
    assert.deepEqual(parseJump('10.0.0.1:22'), target('10.0.0.1', 22));
    assert.deepEqual(parseJump('db.local:5432/path'), target('db.local', 5432));
    assert.deepEqual(parseJump('tcp://user@[fd00::1]:22/'), target('fd00::1', 22));
    for (const text of ['host', 'host:0', 'host:99999', 'a b:1', 'ssh://host', ':22', '[::1:22'])
      assert.throws(() => parseJump(text), /not host:port/, text);
  });
});

describe('socks', () => {
  const service: Service = { kind: 'socks-proxy', text: 'socks-proxy' };
  const greeting = Buffer.from([5, 2, 2, 0]);
  const connect = (host: string, port: number, type = 3): Buffer =>
    Buffer.concat([
      Buffer.from(type === 3 ? [5, 1, 0, 3, host.length] : [5, 1, 0, type]),
      type === 3 ? Buffer.from(host) : Buffer.from(host.split('.').map(Number)),
      Buffer.from([port >> 8, port & 0xff]),
    ]);

  it('connects where ipRules allow, by address and by name', async t => {
    const port = await listenRaw(t, echo);
    const test = await toService(t, service, { ipRules: [{ prefix: '127.0.0.0/8', ports: [port], allow: true }] });
    for (const type of [1, 3]) {
      const [incoming, reader] = await open(test);
      // Greeting, request and first data may come in one message, and no byte of it may be lost.
      incoming.edge.write(
        clientFrame(2, Buffer.concat([greeting, connect('127.0.0.1', port, type), Buffer.from('hi')])),
      );
      await until('the echo', () => reader.data.length === 14);
      assert.deepEqual([...reader.data.subarray(0, 6)], [5, 0, 5, 0, 0, 1]);
      assert.equal(String(reader.data.subarray(12)), 'hi');
      incoming.vanish();
    }
  });

  it('denies without a rule, by a rule, and what does not resolve', async t => {
    const port = await listenRaw(t, echo);
    const none = await toService(t, service);
    const rules = [
      { prefix: '127.0.0.1/32', ports: [port + 1], allow: true },
      { prefix: '127.0.0.1/32', ports: [], allow: false },
      { prefix: '0.0.0.0/0', ports: [], allow: true },
    ];
    const some = await toService(t, service, { ipRules: rules });
    for (const [test, host, code] of [
      [none, '127.0.0.1', 2],
      [some, '127.0.0.1', 2],
      [some, 'no-such-name.invalid', 2],
      [some, '127.0.0.2', undefined],
    ] as const) {
      const [incoming, reader] = await open(test);
      incoming.edge.write(clientFrame(2, Buffer.concat([greeting, connect(host, code === undefined ? 1 : port)])));
      await until('the reply', () => reader.data.length >= 12);
      assert.equal(reader.data[3], code ?? 5);
      await until('the stream to close', () => incoming.body.destroyed);
    }
  });

  it('refuses other versions, methods, commands and address types', async t => {
    const test = await toService(t, service, { ipRules: [{ prefix: '0.0.0.0/0', ports: [], allow: true }] });
    for (const [sent, reply] of [
      [Buffer.from([4, 1, 0]), []],
      [Buffer.from([5, 1, 2]), [5, 0xff]],
      [Buffer.concat([greeting, Buffer.from([5, 2, 0, 1, 1, 2, 3, 4, 0, 80])]), [5, 0, 5, 7]],
      [Buffer.concat([greeting, Buffer.from([5, 1, 0, 9, 1, 2, 3])]), [5, 0, 5, 8]],
    ] as const) {
      const [incoming, reader] = await open(test);
      incoming.edge.write(clientFrame(2, sent));
      await until('the stream to close', () => incoming.body.destroyed);
      assert.deepEqual([...reader.data.subarray(0, reply.length)], reply);
    }
  });

  it('uses the connection of a tcp rule with proxyType socks, whatever the client asks for', async t => {
    const port = await listenRaw(t, echo);
    const test = await toService(t, tcpService(port), { proxyType: 'socks' });
    const [incoming, reader] = await open(test);
    incoming.edge.write(clientFrame(2, Buffer.concat([greeting, connect('elsewhere.invalid', 9), Buffer.from('hi')])));
    await until('the echo', () => reader.data.length === 14);
    assert.equal(String(reader.data.subarray(12)), 'hi');
    const closed = once(incoming.body, 'close');
    incoming.vanish();
    await within(
      'the stream to close',
      closed.catch(() => undefined),
    );
  });
});
