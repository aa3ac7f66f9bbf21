// What visitors ask and origins answer to do harm: none of it may end the process, leave a stream hanging, or reach the
// other side as something it is not.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openWorld } from '../../../test/support/edge-world.ts';
import { listenRaw } from '../../../test/support/origin-server.ts';
import { httpService, proxyTo } from '../../../test/support/proxied.ts';
import { RawVisitor } from '../../../test/support/raw-visitor.ts';
import { until, within } from '../../../test/support/wait.ts';

const name = 'app.example.test';
const get = `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`;

describe('hostile visitors', () => {
  it('cannot end the process by a target that no URL parser takes', async t => {
    const test = await proxyTo({ kind: 'hello-world', text: 'hello_world' });
    t.after(() => test.close());
    for (const path of ['//', '//[', '///', '/%', '//a:b:c']) {
      const incoming = test.request({ path });
      assert.equal((await within('an answer', incoming.response)).status, 200, path);
      await within('the body', incoming.bytes());
    }
  });

  it('cannot put lines into a request by a Host that httpHostHeader replaces', async t => {
    let bytes = 0;
    const port = await listenRaw(t, socket => socket.on('data', chunk => (bytes += chunk.length)));
    const test = await proxyTo(httpService(port), { httpHostHeader: 'inner' });
    t.after(() => test.close());
    for (const host of ['a\r\nX-Injected: 1', 'a\u010aX-Injected: 1', 'a b']) {
      await assert.rejects(within('a refusal', test.request({ host }).response), /Request not forwarded/, host);
    }
    assert.equal(bytes, 0);
  });
});

describe('origins that are only odd', () => {
  for (const protocol of ['http2', 'quic'] as const) {
    it(`answer over ${protocol} as they would without a tunnel`, async t => {
      const answers: Readonly<Record<string, readonly [answer: string, shown: RegExp]>> = {
        'a 204 with a length': ['HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', /^HTTP\/1\.1 204 /],
        'folded lines': [
          'HTTP/1.1 200 OK\r\nX-Csp: a;\r\n  b\r\nContent-Length: 2\r\n\r\nok',
          /x-csp: a; b\r\n.*ok$/is,
        ],
        'bare LF': ['HTTP/1.1 200 OK\nContent-Length: 2\n\nok', /^HTTP\/1\.1 200 .*\r\n\r\nok$/s],
      };
      for (const [what, [answer, shown]] of Object.entries(answers)) {
        let head = '';
        const port = await listenRaw(t, socket => {
          socket.on('data', chunk => {
            head += chunk.toString('latin1');
            socket.write(answer);
          });
        });
        const { world } = await openWorld(t, port, { protocol });
        const visitor = await RawVisitor.open(t, world.httpPort);
        visitor.send(get.replace('\r\n\r\n', '\r\nsoapaction: x\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n'));
        await visitor.sees(shown);
        assert.match(head, /\r\nCookie: a=1; b=2\r\n/, what);
        assert.match(head, /\r\nSoapaction: x\r\n/, what);
      }
    });
  }
});

describe('hostile origins', () => {
  it('get a 502 for a status that HTTP does not have, and end nothing else', async t => {
    for (const status of [600, 999]) {
      for (const body of ['', 'x']) {
        const port = await listenRaw(t, socket => {
          socket.on('data', () =>
            socket.write(`HTTP/1.1 ${status} Odd\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
          );
        });
        const { world } = await openWorld(t, port);
        const visitor = await RawVisitor.open(t, world.httpPort);
        visitor.send(get);
        await visitor.answered();
        assert.deepEqual(visitor.statuses, [502], `${status} with ${body.length} bytes`);
        await until('the end of the stream', () =>
          world.edge.registry.all().every(one => one.connection.openStreams === 0),
        );
      }
    }
  });

  it('cannot end the process by trailers that HTTP/2 forbids', async t => {
    const port = await listenRaw(t, socket => {
      socket.on('data', () =>
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP2-Settings: x\r\nETag: a\r\netag: b\r\nX-Sum: 7\r\n\r\n',
        ),
      );
    });
    const { world } = await openWorld(t, port);
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send(get);
    await visitor.sees(/x-sum: 7\r\n/i);
    assert.ok(!/http2-settings/i.test(visitor.text));
  });
});
