// The HTTP proxy on-ramp with real sockets, and curl as a user would.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { listen } from '../../../test/support/origin-server.ts';
import { PrivateWorld, type TestConnector } from '../../../test/support/private-world.ts';
import { until, within } from '../../../test/support/wait.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { openHttpProxy } from './http-proxy.ts';

const run = promisify(execFile);

describe('HTTP proxy on-ramp', () => {
  let world: PrivateWorld;
  let connector: TestConnector;
  let port: number;
  beforeEach(async () => {
    world = await PrivateWorld.open();
    const tunnel = await world.addTunnel('home');
    await world.addRoute('127.0.0.0/8', tunnel);
    connector = await world.connect(tunnel);
    const [{ network }, admission] = [world, world.admission()];
    const proxy = await openHttpProxy({ host: '127.0.0.1', port: 0, network, admission, logger: silentLogger() });
    port = world.use(proxy).port;
  });
  afterEach(() => world.close());
  const login = (user = 'default', token = world.token): string =>
    `Proxy-Authorization: Basic ${Buffer.from(`${user}:${token}`).toString('base64')}\r\n`;
  /** Sends `text`, ends, and resolves to everything that comes back. */
  const exchange = async (t: TestContext, text: string): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    socket.end(text);
    return Buffer.concat(await socket.toArray()).toString();
  };

  it('connects and carries bytes both ways, those sent early and those after a half-close too', async t => {
    const origin = await listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );
    const answer = await exchange(t, `CONNECT 127.0.0.1:${origin} HTTP/1.1\r\n${login()}\r\nearly`);
    assert.equal(answer, 'HTTP/1.1 200 Connection established\r\n\r\nearly');
    await until('the end', () => world.tracker.size === 0);
    const ended = world.events.at(-1);
    assert.ok(ended?.kind === 'ended');
    assert.deepEqual([ended.flow.bytes, ended.flow.onRamp, ended.reason], [{ up: 5, down: 5 }, 'http-proxy', 'closed']);
    assert.deepEqual(connector.dialled, [`127.0.0.1:${origin}`]);
  });

  it('answers what it does not serve with the status that says why', async t => {
    const status = async (text: string) => (await exchange(t, text)).slice(9, 12);
    const ask = (target: string, headers = login()) => status(`CONNECT ${target} HTTP/1.1\r\n${headers}\r\n`);
    assert.equal(await ask('127.0.0.1:80', ''), '407');
    assert.equal(await ask('127.0.0.1:80', 'Proxy-Authorization: Bearer x\r\n'), '407');
    assert.equal(await ask('127.0.0.1:80', 'Proxy-Authorization: Basic !!\r\n'), '407');
    assert.equal(await ask('127.0.0.1:80', login('default', 'wrong')), '407');
    // The token is right: its holder may know that the network is not.
    assert.match(
      await exchange(t, `CONNECT 127.0.0.1:80 HTTP/1.1\r\n${login('unknown')}\r\n`),
      /^HTTP\/1\.1 403 .*no virtual network "unknown"/s,
    );
    assert.equal(await ask('10.0.0.1:80'), '403');
    for (const target of [
      '127.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      '[x]:80',
      'a b:80',
      'user@127.0.0.1:80',
      ':80',
    ])
      assert.equal(await ask(target), '400', target);
    for (const target of [
      '/',
      'https://127.0.0.1/',
      'http://user@127.0.0.1/',
      'http://127.0.0.1:0/',
      'ftp://127.0.0.1/',
    ])
      assert.equal(await status(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${login()}\r\n`), '400', target);
    assert.equal(await status('GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'), '407');
    const gone = createServer();
    const closedPort = await listen(t, gone);
    await new Promise(resolve => gone.close(resolve));
    assert.equal(await ask(`127.0.0.1:${closedPort}`), '502');
    const [denied] = world.events;
    assert.deepEqual([denied?.kind, world.denied['no-route'], connector.dialled.length], ['denied', 1, 1]);
    for (let attempt = 0; attempt < 20; attempt += 1) await ask('127.0.0.1:80', login('default', `guess ${attempt}`));
    assert.equal(await ask('127.0.0.1:80', login('default', 'one too many')), '429');
  });

  it('forwards requests for http:// URLs, several on one connection, without what concerns the proxy', async t => {
    const heads: string[][] = [];
    const origin = await listen(
      t,
      createHttpServer((incoming, response) => {
        heads.push([`${incoming.method} ${incoming.url}`, ...incoming.rawHeaders]);
        let bytes = 0;
        incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
        incoming.on('end', () => response.setHeader('X-Origin', 'yes').end(`${bytes} bytes`));
      }),
    );
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    let text = '';
    socket.on('data', chunk => (text += String(chunk)));
    const url = `http://127.0.0.1:${origin}`;
    socket.write(`GET ${url}/a?b=1 HTTP/1.1\r\nHost: wrong\r\nProxy-Connection: keep-alive\r\n${login()}\r\n`);
    await until('the first answer', () => text.includes('0 bytes'));
    socket.write(
      `POST ${url} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${login()}\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    await until('the second answer', () => text.includes('3 bytes'));
    assert.match(text, /x-origin: yes/i);
    assert.deepEqual(
      heads.map(([line]) => line),
      ['GET /a?b=1', 'POST /'],
    );
    const sent = heads.flat().join('\n');
    assert.ok(sent.includes(`127.0.0.1:${origin}`) && !/wrong|proxy-/i.test(sent), sent);
    await until('the end of the flows', () => world.tracker.size === 0);
  });

  it('tells a client of http:// URLs what went wrong, and breaks answers off that were cut', async t => {
    const gone = createServer();
    const closedPort = await listen(t, gone);
    await new Promise(resolve => gone.close(resolve));
    const login = ['--proxy', `http://127.0.0.1:${port}`, '--proxy-user', `default:${world.token}`];
    const asked = ['--silent', '--max-time', '20', '--output', '/dev/null', '--write-out', '%{http_code}', ...login];
    assert.equal((await run('curl', [...asked, `http://127.0.0.1:${closedPort}/`])).stdout, '502');
    const rude = await listen(
      t,
      createServer(peer => peer.once('data', () => peer.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut'))),
    );
    const cut = run('curl', [
      ...['--silent', '--max-time', '20', '--proxy', `http://127.0.0.1:${port}`],
      ...['--proxy-user', `default:${world.token}`, `http://127.0.0.1:${rude}/`],
    ]);
    await assert.rejects(cut, { code: 18 });
    await until('the end of the flows', () => world.tracker.size === 0);
  });

  it('serves curl', async t => {
    const origin = await listen(
      t,
      createHttpServer((_incoming, response) => response.end('private')),
    );
    const proxy = `http://127.0.0.1:${port}`;
    const curl = (...args: string[]) =>
      run('curl', ['--silent', '--show-error', '--max-time', '20', '--proxytunnel', '--proxy', proxy, ...args]);
    const { stdout } = await curl('--proxy-user', `default:${world.token}`, `http://127.0.0.1:${origin}/`);
    assert.equal(stdout, 'private');
    await assert.rejects(() => curl(`http://127.0.0.1:${origin}/`), /407/);
    const plain = await run('curl', [
      ...['--silent', '--show-error', '--max-time', '20', '--proxy', proxy],
      ...['--proxy-user', `default:${world.token}`, `http://127.0.0.1:${origin}/`],
    ]);
    assert.equal(plain.stdout, 'private');
  });

  it('notices clients that vanish, as TCP keep-alive does', { skip: process.platform !== 'linux' }, async t => {
    const origin = await listen(
      t,
      createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)),
    );
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(`CONNECT 127.0.0.1:${origin} HTTP/1.1\r\n${login()}\r\n`);
    await once(socket, 'data');
    // Local address, remote address, state 1 (established), queues, and the kind of timer: 2 is keep-alive.
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');
    const entry = new RegExp(`0100007F:${hex(port)} 0100007F:${hex(socket.localPort ?? 0)} 01 \\S+ 02:`);
    assert.match(readFileSync('/proc/net/tcp', 'latin1'), entry);
  });

  it('holds few connections of one address that say nothing', async t => {
    const { network } = world;
    const limited = await openHttpProxy({
      host: '127.0.0.1',
      port: 0,
      network,
      admission: world.admission(),
      logger: silentLogger(),
      handshakeLimits: { total: 10, perAddress: 2 },
    });
    world.use(limited);
    const dial = async () => {
      const socket = connect(limited.port, '127.0.0.1');
      socket.on('error', () => undefined);
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    };
    const first = await dial();
    await dial();
    const third = (await dial()).resume();
    await within('the cut', once(third, 'close'), 5_000);
    first.destroy();
    const origin = await listen(
      t,
      createServer(socket => socket.pipe(socket)),
    );
    // Those that were admitted count no more.
    for (let index = 0; index < 4; index += 1) {
      let answer = '';
      await until('an answer', async () => {
        const socket = await dial();
        socket.write(`CONNECT 127.0.0.1:${origin} HTTP/1.1\r\n${login()}\r\n`);
        const [data = ''] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [])]);
        answer = String(data);
        return answer !== '';
      });
      assert.match(answer, /^HTTP\/1\.1 200 /);
    }
  });

  it('refuses a head that is too long', async t => {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(`CONNECT 127.0.0.1:80 HTTP/1.1\r\nX: ${'a'.repeat(32_768)}`);
    // A head that is too long is answered at once, whole or not.
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 431 /);
  });
});
