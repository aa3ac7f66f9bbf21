import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RE2JS } from 're2js';
import type { IngressRule } from '../schema/ingress-rule.ts';
import { originRequestDefaults } from '../schema/origin-request.ts';
import { createMatcher } from './match.ts';
import { compilePath, decodePath } from './path-matcher.ts';

type Row = readonly [hostname: string, path?: string];

function rulesOf(rows: readonly Row[]): IngressRule[] {
  return rows.map(([hostname, path = ''], index) => ({
    index,
    hostname,
    path,
    service: { kind: 'status', text: 'http_status:200', status: 200 },
    originRequest: originRequestDefaults,
  }));
}

function check(rows: readonly Row[], cases: readonly (readonly [host: string, path: string, index: number])[]): void {
  const matcher = createMatcher(rulesOf(rows));
  for (const [host, path, index] of cases) assert.equal(matcher.match(host, path).index, index, `${host} ${path}`);
}

describe('ingress matching', () => {
  it('takes the first rule whose host and path match, else the last', () => {
    check(
      [['app.example.com', '^/static/.*'], ['app.example.com'], ['*.example.com', '^/x'], ['example.com'], ['']],
      [
        ['app.example.com', '/static/a', 0],
        ['app.example.com', '/x/static/a', 1],
        ['www.example.com', '/x', 2],
        ['www.example.com', '/y', 4],
        ['a.b.example.com', '/x', 2],
        ['example.com', '/x', 3],
        ['other.org', '/', 4],
        ['', '/', 4],
        ['.example.com', '/x', 2],
        ['xexample.com', '/x', 4],
      ],
    );
    check([['a'], ['b']], [['c', '/', 1]]);
  });

  it('a wildcard before an exact name wins, and an any-host rule with a path takes part', () => {
    check(
      [['*.example.com', '/api'], ['', '/health'], ['app.example.com'], ['*.b.example.com'], ['*.example.com'], ['*']],
      [
        ['app.example.com', '/api', 0],
        ['app.example.com', '/health', 1],
        ['app.example.com', '/', 2],
        ['a.b.example.com', '/', 3],
        ['a.b.example.com', '/api', 0],
        ['b.example.com', '/', 4],
        ['other', '/health', 1],
        ['other', '/', 5],
      ],
    );
  });

  it('strips ports and brackets and ignores case', () => {
    check(
      [['App.Example.com'], ['::1'], ['*.DEV'], ['']],
      [
        ['app.example.com:8080', '/', 0],
        ['APP.EXAMPLE.COM', '/', 0],
        ['app.example.com:', '/', 0],
        ['[::1]:80', '/', 1],
        ['[::1]', '/', 1],
        ['::1', '/', 1],
        ['x.dev', '/', 2],
        ['[::1', '/', 3],
      ],
    );
  });

  it('matches Unicode rules by the name browsers send', () => {
    check(
      [['bücher.example'], ['*.münchen.de'], ['']],
      [
        ['xn--bcher-kva.example', '/', 0],
        ['bücher.example', '/', 0],
        ['BÜCHER.example:1', '/', 0],
        ['a.xn--mnchen-3ya.de', '/', 1],
        ['xn--mnchen-3ya.de', '/', 2],
      ],
    );
  });

  it('a star anywhere but before a dot is a literal', () => {
    check(
      [['*example.com'], ['']],
      [
        ['aexample.com', '/', 1],
        ['*example.com', '/', 0],
      ],
    );
  });

  it('searches the decoded path without query, not normalised', () => {
    check(
      [['', '^/a b$'], ['', '/\\.\\./'], ['', 'é'], ['', '//x'], ['', '%zz'], ['', '\ufffd'], ['']],
      [
        ['h', '/a%20b', 0],
        ['h', '/a%20b?c', 0],
        ['h', '/a/../b', 1],
        ['h', '/a/%2e%2E/b', 1],
        ['h', '/%c3%A9', 2],
        ['h', '//x', 3],
        ['h', '/%zz', 4],
        ['h', '/%ff', 5],
        ['h', '/?é', 6],
      ],
    );
  });

  it('agrees with a plain walk over the rules on random configurations', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const names = ['.x', 'a.x', 'b.a.x', 'a.y', 'x', 'b.y', 'c.b.a.x'];
    const hosts = [...names, '*.x', '*.a.x', '*.y', '*.b.a.x', '', '*'];
    const paths = ['', '', '/p', '^/q'];
    for (let round = 0; round < 300; round += 1) {
      const rules = rulesOf(
        Array.from({ length: 1 + random(7) }, () => [
          hosts[random(hosts.length)] ?? '',
          paths[random(paths.length)] ?? '',
        ]),
      );
      const matcher = createMatcher(rules);
      for (const host of [...names, 'zzz.a.x', 'other']) {
        for (const path of ['/p', '/q/p', '/']) {
          const plain = rules.find(({ hostname, path: expression }) => {
            const any = hostname === '' || hostname === '*';
            const named = hostname.startsWith('*.') ? host.endsWith(hostname.slice(1)) : hostname === host;
            return (any || named) && new RegExp(expression).test(path);
          });
          assert.equal(matcher.match(host, path).index, (plain ?? rules.at(-1))?.index, JSON.stringify(rules));
        }
      }
    }
  });
});

describe('path expressions', () => {
  it('shortcuts give what the engine gives', () => {
    const expressions = [
      '^/static/.*',
      '/api',
      '^/x$',
      'x$',
      '^',
      '$',
      '',
      '.*',
      '^.*$',
      '^/a.*$',
      '/a-b_c',
      '^/a b',
      '%',
    ];
    const inputs = [
      '',
      '/',
      '/x',
      '/xx',
      '/static/',
      '/static/a',
      '/b/static/',
      '/api',
      '/v1/api/2',
      '/a\nb',
      '/a b',
      '/a-b_c',
      '%',
    ];
    for (const expression of expressions) {
      const engine = RE2JS.compile(expression);
      const test = compilePath(expression);
      for (const input of inputs)
        assert.equal(test(input), engine.test(input), `${expression} on ${JSON.stringify(input)}`);
    }
  });

  it('stays linear on expressions that hang a backtracking engine', () => {
    const test = compilePath('^(a+)+(b|c)$');
    assert.equal(test(`${'a'.repeat(50_000)}!`), false);
    assert.equal(test(`${'a'.repeat(1000)}c`), true);
  });

  it('decodes escapes and leaves what is none', () => {
    assert.equal(decodePath('/a%2Fb%zz%4?x=%41'), '/a/b%zz%4');
    assert.equal(decodePath('/%e2%82%ac%e2%82'), '/\u20ac\ufffd');
  });
});
