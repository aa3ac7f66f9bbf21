// The access log of a connector: a line a request, as the visitor and the origin saw it, in files that do not grow for ever.

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { until } from '../../test/support/wait.ts';
import { isPosternError } from '../errors/error.ts';
import { createLogger, silentLogger } from '../telemetry/logger.ts';
import { type AccessEntry, maxWaitingBytes, openAccessLog } from './access-log.ts';

const entry: AccessEntry = {
  head: { kind: 'http', method: 'GET', scheme: 'http', host: 'a.example', path: '/', headers: [], bodyLength: 0 },
  ...{ status: 200, bytesUp: 0, bytesDown: 1, tookMs: 1.4, ruleIndex: 0, service: 'http://localhost:1' },
};

describe('the access log', () => {
  it('has a line for each request, without its query', async t => {
    const origin = await listen(
      t,
      createServer((incoming, response) => incoming.resume().once('end', () => response.writeHead(201).end('hello'))),
    );
    const path = join(await temporaryDirectory(t), 'deep', 'access.log');
    const accessLog = await openAccessLog(path, { logger: silentLogger() });
    const { world, tunnel } = await openWorld(t, origin, { tunnel: { accessLog } });
    const id = await new Promise<unknown>((resolve, reject) => {
      const headers = { host: tunnel.host, 'content-length': 3 };
      request({ port: world.httpPort, method: 'POST', path: '/a/b?token=secret', headers }, response => {
        response.resume().once('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end('abc');
    });
    assert.equal(id, 201);
    await until('the line', async () => (await readFile(path, 'utf8')) !== '');
    const text = await readFile(path, 'utf8');
    const { time, cfRay, ms, ...rest } = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(rest, {
      ...{
        visitor: '127.0.0.1',
        method: 'POST',
        host: tunnel.host,
        path: '/a/b',
        status: 201,
        bytesUp: 3,
        bytesDown: 5,
      },
      ...{ ingressRule: 0, originService: `http://127.0.0.1:${origin}` },
    });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.match(String(cfRay), /^[0-9a-f]{16}$/);
    assert.ok(Number(ms) >= 0);
  });

  it('is rotated, keeps five old files, and loses no line', async t => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'a.log');
    await writeFile(path, 'from before\n');
    const log = await openAccessLog(path, { logger: silentLogger(), maxBytes: 1_000 });
    for (let count = 0; count < 20; count += 1) {
      log.record({ ...entry, tookMs: count, service: 'x'.repeat(300) });
      const written = new RegExp(`"ms":${count},`);
      await until('the line', async () => written.test(await readFile(path, 'utf8').catch(() => '')));
    }
    await log[Symbol.asyncDispose]();
    const names = (await readdir(directory)).sort();
    assert.deepEqual(names, ['a.log', ...[1, 2, 3, 4, 5].map(number => `a.log.${number}`)]);
    const numbers: number[] = [];
    for (const name of names.toReversed()) {
      const text = await readFile(join(directory, name), 'utf8');
      assert.ok(text.length <= 1_000, name);
      for (const line of text.trim().split('\n')) numbers.push((JSON.parse(line) as { ms: number }).ms);
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, at) => 20 - numbers.length + at),
    );
  });

  it('holds a bounded number of lines for a slow disk, and says how many it lost', async t => {
    const lines: string[] = [];
    const logger = createLogger({
      level: 'warn',
      format: 'json',
      destination: { write: line => void lines.push(line) },
    });
    const path = join(await temporaryDirectory(t), 'a.log');
    const log = await openAccessLog(path, { logger });
    const service = 'x'.repeat(100_000);
    // All in one turn: no write can have ended.
    for (let count = 0; count < 60; count += 1) log.record({ ...entry, service });
    await log[Symbol.asyncDispose]();
    const written = (await readFile(path, 'utf8')).split('\n').length - 1;
    const { lines: lost } = JSON.parse(lines[0] ?? '{}') as { lines?: number };
    assert.ok(written <= maxWaitingBytes / 100_000 + 1, String(written));
    assert.equal(written + Number(lost), 60);
  });

  it('refuses a file that cannot be opened', async t => {
    const directory = await temporaryDirectory(t);
    await assert.rejects(openAccessLog(directory, { logger: silentLogger() }), error =>
      isPosternError(error, 'config.invalid'),
    );
  });
});
