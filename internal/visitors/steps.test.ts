// Steps in front of what answers: their order, what they may change, and what they see of an answer, over both protocols.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { temporaryDirectory } from '../../test/support/program.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { until, within } from '../../test/support/wait.ts';
import { openCertificates } from '../certificates/open-certificates.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { joinSteps } from './open/open-visitors.ts';
import { openPublicServer } from './open/server.ts';
import type { HandleVisitor, VisitorStep } from './visitor.ts';

async function open(t: TestContext, steps: readonly VisitorStep[], last: HandleVisitor): Promise<number> {
  const logger = silentLogger();
  const stateDir = await temporaryDirectory(t);
  const certificates = await openCertificates({ stateDir, names: ['127.0.0.1'], visitorDomains: [], logger });
  const handle = joinSteps(steps, last);
  const ports = { host: '127.0.0.1', httpPort: 0, httpsPort: undefined };
  const server = await openPublicServer({ ...ports, certificates, logger, handle });
  t.after(async () => {
    await within('the listener to end', server.drain(0));
    await certificates.close();
  });
  return server.httpPort ?? assert.fail();
}

/** Path and value of `x` in the answer, over HTTP/1.1 and over HTTP/2. */
async function askBoth(t: TestContext, port: number, path: string): Promise<(string | undefined)[]> {
  const visitor = await RawVisitor.open(t, port);
  visitor.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await visitor.sees('\r\n\r\n');
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ':authority': 'a', ':path': path });
  const [headers] = (await once(stream.resume(), 'response')) as [Record<string, string>];
  return [/^x: (.*)\r$/im.exec(visitor.text)?.[1], headers.x];
}

const answer: HandleVisitor = (_request, response) => response.start(204, ['X', 'origin'], { hasBody: false });

/** Adds its letter to `x` of the answer, and writes down when it was passed. */
function letterStep(letter: string, passed: string[]): VisitorStep {
  return (request, response, next) => {
    passed.push(letter);
    response.observe({ head: (_status, [name = '', value = '']) => [name, `${value} ${letter}`] });
    next(request, response);
  };
}

describe('steps', () => {
  it('see a request in their order, and the head of its answer in the opposite one', async t => {
    const passed: string[] = [];
    const port = await open(t, [letterStep('a', passed), letterStep('b', passed)], answer);
    assert.deepEqual(await askBoth(t, port, '/'), ['origin b a', 'origin b a']);
    assert.deepEqual(passed, ['a', 'b', 'a', 'b']);
  });

  it('may answer themselves, later, and pass another request on', async t => {
    const asked: string[] = [];
    const guard: VisitorStep = (request, response, next) => {
      if (request.path === '/closed') setImmediate(() => response.start(403, ['X', 'guard'], { hasBody: false }));
      else next({ ...request, path: `${request.path}?seen` }, response);
    };
    const port = await open(t, [guard], (request, response) => {
      asked.push(request.path);
      answer(request, response);
    });
    assert.deepEqual(await askBoth(t, port, '/closed'), ['guard', 'guard']);
    assert.deepEqual(await askBoth(t, port, '/open'), ['origin', 'origin']);
    assert.deepEqual(asked, ['/open?seen', '/open?seen']);
  });

  it('learn once how each answer ended, and how many bytes it had', async t => {
    const ends: string[] = [];
    const watch: VisitorStep = (request, response, next) => {
      response.observe({ ended: (how, { bytesDown }) => ends.push(`${request.path} ${how} ${bytesDown}`) });
      next(request, response);
    };
    const port = await open(t, [watch], (request, response) => {
      if (request.path === '/silent') return;
      const body = response.start(200, [], { hasBody: true });
      body?.write(Buffer.from('12345'));
      if (request.path === '/cut') body?.breakOff();
      else body?.end([]);
    });
    for (const path of ['/whole', '/cut', '/silent']) {
      const visitor = await RawVisitor.open(t, port);
      visitor.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      t.after(() => session.destroy());
      const stream = session.request({ ':authority': 'a', ':path': path });
      stream.on('error', () => undefined).resume();
      if (path === '/silent') {
        await once(session, 'connect');
        visitor.socket.destroy();
        stream.close();
      }
      await until(`both ends of ${path}`, () => ends.filter(end => end.startsWith(path)).length === 2);
    }
    const twice = (end: string): string[] => [end, end];
    assert.deepEqual(ends, [...twice('/whole complete 5'), ...twice('/cut failed 5'), ...twice('/silent gone 0')]);
  });
});
