// What visitors are told of failed requests: a page, JSON or text, each with the id that the logs have, and nothing of the
// request that could act in a page.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { registerBare } from '../../test/support/bare-connector.ts';
import { EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listenRaw } from '../../test/support/origin-server.ts';
import { temporaryDirectory } from '../../test/support/program.ts';
import { RawVisitor } from '../../test/support/raw-visitor.ts';
import { isPosternError } from '../errors/error.ts';
import { createErrorPage } from './error-page.ts';
import { createErrorTemplate, maxTemplateBytes, readErrorTemplate } from './error-template.ts';
import { preferredType } from './preferred-type.ts';
import type { ProblemFacts } from './problem.ts';

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(port: number, headers: Readonly<Record<string, string>>, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ port, method, path: '/x?secret', headers }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    })
      .on('error', reject)
      .end();
  });
}

const failedFacts: ProblemFacts = {
  ...{ status: 502, title: 'Bad Gateway', kind: 'origin', hop: 'origin', requestId: '0123456789abcdef' },
  ...{ text: 'a < b', remedy: '"Do" it & more', host: "<script>alert('1')</script>" },
};

function statesOf(page: string): string[] {
  return [...page.matchAll(/<li class="([a-z]+)">/g)].map(match => match[1] ?? '');
}

describe('the answer to a failed request', () => {
  it('is a page for browsers, JSON for who asks for it, and text for others', async t => {
    const world = await EdgeWorld.open(t);
    const answer = (accept?: string) =>
      ask(world.httpPort, { host: 'nobody.example.test', ...(accept === undefined ? {} : { accept }) });
    const page = await answer(browser);
    assert.deepEqual([page.status, page.headers['content-type']], [404, 'text/html; charset=utf-8']);
    assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/);
    assert.deepEqual(statesOf(page.body), ['fine', 'failed', 'unreached', 'unreached']);
    assert.ok(page.body.includes('nobody.example.test'), page.body);
    assert.ok(page.body.includes(String(page.headers['postern-request-id'])), page.body);

    const json = await answer('application/json, text/plain, */*');
    assert.equal(json.headers['content-type'], 'application/json');
    const { remedy, requestId, ...rest } = JSON.parse(json.body) as Record<string, unknown>;
    assert.deepEqual(rest, {
      ...{ status: 404, title: 'Not Found', detail: 'No tunnel is routed to this host name.' },
      ...{ code: 'no-route', failedHop: 'edge' },
    });
    assert.match(String(remedy), /route dns/);
    assert.equal(requestId, json.headers['postern-request-id']);
    assert.equal((await answer('application/problem+json')).headers['content-type'], 'application/problem+json');

    for (const accept of [undefined, '*/*', 'image/png', 'text/html;q=0.5, text/plain', 'text/html;q=0']) {
      const text = await answer(accept);
      assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8', String(accept));
      const id = String(text.headers['postern-request-id']);
      assert.match(id, /^[0-9a-f]{16}$/);
      assert.match(text.body, new RegExp(`^404 No tunnel is routed to this host name\\.\n.*\nRequest id: ${id}\n$`));
    }
    const head = await ask(world.httpPort, { host: 'nobody.example.test', accept: browser }, 'HEAD');
    assert.deepEqual([head.status, head.body], [404, '']);
  });

  it('has an id of its own, which no visitor can choose', async t => {
    const world = await EdgeWorld.open(t);
    const headers = { host: 'nobody.example.test', 'postern-request-id': 'mine', 'cf-ray': 'mine' };
    const ids = new Set<unknown>();
    for (let count = 0; count < 3; count += 1) {
      const answer = await ask(world.httpPort, headers);
      assert.equal(answer.headers['cf-ray'], answer.headers['postern-request-id']);
      ids.add(answer.headers['postern-request-id']);
    }
    assert.equal(ids.size, 3);
    assert.ok(!ids.has('mine'));
  });

  it('has the id that the logs of edge and connector have', async t => {
    const dead = await listenRaw(t, socket => socket.destroy());
    const { world, tunnel } = await openWorld(t, dead);
    const answer = await ask(world.httpPort, { host: tunnel.host, accept: browser });
    assert.equal(answer.status, 502);
    assert.deepEqual(statesOf(answer.body), ['fine', 'fine', 'fine', 'failed']);
    const id = answer.headers['postern-request-id'];
    const lines = world.lines.filter(({ cfRay }) => cfRay === id);
    // The connector's has the rule, the edge's what it answered.
    assert.ok(
      lines.some(({ level, ingressRule }) => level === 'error' && ingressRule === 0),
      JSON.stringify(lines),
    );
    assert.ok(
      lines.some(({ failed }) => failed === 'origin'),
      JSON.stringify(lines),
    );
  });

  it('gives the origin the same id', async t => {
    const world = await EdgeWorld.open(t);
    const tunnel = await world.makeTunnel('id.example.test');
    const seen: string[] = [];
    await registerBare(t, world, tunnel, incoming => {
      const { headers } = incoming.head;
      seen.push(...headers.filter((_, at) => at % 2 === 1 && /^(cf-ray|postern-)/i.test(headers[at - 1] ?? '')));
      incoming.refuse({ message: 'no' });
    });
    const answer = await ask(world.httpPort, { host: tunnel.host, 'postern-request-id': 'mine' });
    assert.deepEqual(seen, [answer.headers['postern-request-id']]);
  });

  it('names hop and id also where the request could not be read', async t => {
    const world = await EdgeWorld.open(t);
    const visitor = await RawVisitor.open(t, world.httpPort);
    visitor.send('GET / HTTP/1.1\r\nHost: a b\r\n\r\n');
    await visitor.answered();
    assert.match(
      visitor.text,
      /^HTTP\/1\.1 400 [\s\S]*Postern-Failed-Hop: edge\r\nPostern-Request-Id: [0-9a-f]{16}\r\n/,
    );
  });
});

describe('the page', () => {
  it('escapes all that is not its own', () => {
    const page = createErrorPage().render(failedFacts);
    assert.ok(!page.includes('<script'), page);
    assert.ok(page.includes('a &#60; b') && page.includes('&#34;Do&#34; it &#38; more'), page);
    assert.ok(page.includes('&#60;script&#62;alert(&#39;1&#39;)&#60;/script&#62;'), page);
  });

  it('may be the operator’s own, read again when it changes', async t => {
    const path = join(await temporaryDirectory(t), 'page.html');
    await writeFile(path, '<p title="{{ host }}">{{status}} {{message}} {{hop}} {{requestId}}</p>');
    const world = await EdgeWorld.open(t, { errorPageFile: path });
    const headers = { host: 'nobody.example.test', accept: browser };
    const own = await ask(world.httpPort, headers);
    const id = own.headers['postern-request-id'];
    const expected = `<p title="nobody.example.test">404 No tunnel is routed to this host name. edge ${id}</p>`;
    assert.deepEqual([own.body, own.headers['content-security-policy']], [expected, undefined]);
    await writeFile(path, 'now {{code}}');
    await world.edge.reload();
    assert.equal((await ask(world.httpPort, headers)).body, 'now no-route');
    await writeFile(path, '{{nothing}}');
    await assert.rejects(world.edge.reload(), error => isPosternError(error, 'config.invalid'));
    assert.equal((await ask(world.httpPort, headers)).body, 'now no-route');
  });

  it('of an operator is escaped as well, and checked when it is read', async (t: TestContext) => {
    const own = createErrorTemplate('<a title="{{host}}">{{ message }}{{remedy}}</a>{{title}}{{code}}');
    assert.equal(
      own.render(failedFacts),
      '<a title="&#60;script&#62;alert(&#39;1&#39;)&#60;/script&#62;">a &#60; b&#34;Do&#34; it &#38; more</a>Bad Gatewayorigin',
    );
    for (const name of ['nothing', 'constructor', 'toString'])
      assert.throws(
        () => createErrorTemplate(`{{${name}}}`),
        /There is no placeholder \{\{[A-Za-z]+\}\}; there are status, /,
      );
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'large.html'), 'x'.repeat(maxTemplateBytes + 1));
    await assert.rejects(readErrorTemplate(join(directory, 'large.html')), /larger than/);
    await assert.rejects(readErrorTemplate(join(directory, 'missing.html')), error =>
      isPosternError(error, 'config.invalid'),
    );
  });
});

it('prefers types as RFC 9110 has it', () => {
  const offered = ['text/plain', 'application/json', 'text/html'] as const;
  const cases: readonly (readonly [string, string])[] = [
    ['', 'text/plain'],
    ['*/*', 'text/plain'],
    [browser, 'text/html'],
    ['text/*', 'text/plain'],
    ['TEXT/HTML', 'text/html'],
    ['application/*', 'application/json'],
    ['text/html;q=0.1, */*;q=0.2', 'text/plain'],
    ['application/json;q=1.0, text/html;level=1;q=0.9', 'application/json'],
    ['text/html;q=2', 'text/plain'],
    ['text/html;q=', 'text/plain'],
    [`${'x/y,'.repeat(10_000)}text/html`, 'text/plain'],
    [',;,=;q=1', 'text/plain'],
  ];
  for (const [accept, expected] of cases) assert.equal(preferredType(accept, offered), expected, accept.slice(0, 60));
});
