import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, it } from 'node:test';
import { ConfigError } from '../../schema/config-error.ts';
import { originRequestDefaults } from '../../schema/origin-request.ts';
import { configDirectories, fileOfTunnel, findConfigFile, loadIngressFile, parseConfigFile } from './config-file.ts';

function problems(text: string): string[] {
  try {
    parseConfigFile(text, 'c.yml');
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n');
  }
  return [];
}

describe('config file', () => {
  it('takes structured keys apart from settings', () => {
    const file = parseConfigFile(
      `tunnel: 11111111-2222-3333-4444-555555555555
credentials-file: /etc/x.json
loglevel: debug
retries: 7
grace-period: 1m
tag: [a=b, c=d]
no-autoupdate: true
something-else: {x: [1, 2]}
originRequest:
  connectTimeout: 10s
  noTLSVerify: yes
  httpHostHeader: 1.10
warp-routing:
  connectTimeout: 6s
  maxActiveFlows: 3
ingress:
  - hostname: app.example.com
    path: ^/static/.*
    service: https://localhost:8000
    originRequest: {noTLSVerify: off, tlsTimeout: 1m30s}
  - service: http_status:404
`,
      'c.yml',
    );
    assert.equal(file.tunnel, '11111111-2222-3333-4444-555555555555');
    assert.equal(file.credentialsFile, '/etc/x.json');
    assert.deepEqual(Object.keys(file.settings), [
      'credentials-file',
      'loglevel',
      'retries',
      'grace-period',
      'tag',
      'no-autoupdate',
      'something-else',
    ]);
    assert.deepEqual(file.warpRouting, { connectTimeoutMs: 6000, tcpKeepAliveMs: 30_000, maxActiveFlows: 3 });
    const [first, second] = file.config?.rules ?? [];
    const top = { ...originRequestDefaults, connectTimeoutMs: 10_000, noTLSVerify: true, httpHostHeader: '1.10' };
    assert.deepEqual(first?.originRequest, { ...top, noTLSVerify: false, tlsTimeoutMs: 90_000 });
    assert.deepEqual(second?.originRequest, top);
    assert.deepEqual(file.warnings, ['c.yml:8:17: something-else is no setting. It is ignored.']);
  });

  it('resolves anchors, aliases and merge keys', () => {
    const file = parseConfigFile(
      `x-common: &common {connectTimeout: 5s, noTLSVerify: true}
ingress:
  - hostname: a.example.com
    service: &local http://localhost:1
    originRequest: {<<: *common, connectTimeout: 6s}
  - service: *local
`,
      'c.yml',
    );
    const [first, second] = file.config?.rules ?? [];
    assert.equal(first?.originRequest.connectTimeoutMs, 6000);
    assert.equal(first?.originRequest.noTLSVerify, true);
    assert.equal(second?.service.text, 'http://localhost:1');
  });

  it('has no configuration without rules, and counts an empty file as no settings', () => {
    for (const text of ['', '# nothing\n', '---\n', 'ingress: []\n', 'ingress:\n', 'loglevel: debug\n'])
      assert.equal(parseConfigFile(text, 'c.yml').config, undefined, text);
    assert.equal(parseConfigFile('# nothing\n', 'c.yml').empty, true);
    assert.equal(parseConfigFile('a: 1\n', 'c.yml').empty, false);
  });

  it('reports every problem with file, line and column', () => {
    assert.deepEqual(
      problems(`loglevel: 3
retries: many
grace-period: 30
tag: a=b
no-autoupdate: "true"
edge-ip-version: "5"
ingress:
  - hostname: a.example.com:80
    service: localhost
    originRequest:
      connectTimeout: soon
      keepAliveConnections: lots
  - service: http_status:404
  - service: {}
warp-routing: [1]
`),
      [
        'c.yml:1:11: expected string found int for loglevel. Write it in quotes: "3".',
        'c.yml:2:10: expected int found string for retries. Write a number without quotes.',
        'c.yml:3:15: expected duration found int for grace-period. Write a text with a unit, such as "30s".',
        'c.yml:4:6: expected string slice found string for tag. Write a list, one "- value" a line.',
        'c.yml:5:16: expected boolean found string for no-autoupdate. Write true or false, without quotes.',
        'c.yml:6:18: invalid value for edge-ip-version: 5. Use one of 4, 6, auto',
        'c.yml:8:15: Hostname cannot contain a port. Write "a.example.com".',
        'c.yml:9:14: localhost is an invalid address, please make sure it has a scheme and a hostname. ' +
          'Write "http://localhost" if it speaks HTTP, or name its scheme.',
        'c.yml:11:23: connectTimeout must be a duration with a unit, such as "30s" or "1m30s", not "soon"',
        'c.yml:12:29: keepAliveConnections must be an integer, not "lots"',
        "c.yml:13:5: Rule #2 is matching the hostname '', but this will match every hostname, meaning the rules which " +
          'follow it will never be triggered. Move it to the end, or give it a hostname or path.',
        'c.yml:14:14: service must be a text, not a map',
        'c.yml:15:15: warp-routing must be a map with connectTimeout, tcpKeepAlive and maxActiveFlows, not a list',
      ],
    );
  });

  it('reports syntax errors with their place', () => {
    const [first] = problems('ingress:\n  - service: "x\n');
    assert.match(first ?? '', /^c\.yml:\d+:\d+: error parsing YAML in config file at c\.yml: /);
    assert.match(problems('a: 1\na: 2\n')[0] ?? '', /^c\.yml:2:1: error parsing YAML .*unique/);
    // One fault, in words that its writer knows, and none that the parser makes up from it.
    for (const [text, words] of [
      ['a:\n\tb: 1\n', /a tab as indentation\. Use spaces\.$/],
      ['a:\n  - b: 1\n   c: 2\n', /is missing\. Keys of one map begin in one column\.$/],
      ['tunnel: x\n ingress:\n  - service: a\n', /a second "key: value" where a value is expected/],
      ['a: [1, 2\nb: 3\n', /not indented/],
      ['ingress\n  - service: x\ntunnel: y\n', /a key without ":"/],
    ] as const) {
      const found = problems(text);
      assert.equal(found.length, 1, text);
      assert.match(found[0] ?? '', words);
      assert.doesNotMatch(found[0] ?? '', /implicit|flow|compact|scalar/i);
    }
    const rules = '  - {hostname: a.example.com, service: "http://a"}\n'.repeat(70_000);
    assert.match(problems(`ingress:\n${rules}  - service: http_status:404\n`).join(), /^[^,]*too large[^\n]*$/);
    assert.match(problems('- a\n')[0] ?? '', /^c\.yml:1:1: the config file is not a map/);
  });

  it('does not take a wildcard without quotes for no host name at all', () => {
    const [first] = problems('ingress:\n  - hostname: *.example.com\n    service: http://localhost:1\n');
    assert.match(first ?? '', /^c\.yml:2:15: .*no anchor &\.example\.com\. Put .* in quotes: "\*\.example\.com"\.$/);
  });

  it('warns of host names that no request can have', () => {
    const scheme = 'ingress: [{hostname: "https://a.example.com/", service: "http://a"}, {service: "http_status:404"}]';
    assert.match(problems(scheme)[0] ?? '', /Write "a\.example\.com"\.$/);
    for (const name of ['a b', 'a.example.com,b.example.com', 'a.example.com/x']) {
      const file = parseConfigFile(
        `ingress: [{hostname: ${JSON.stringify(name)}, service: "http://a"}, {service: "http_status:404"}]`,
        'c.yml',
      );
      assert.match(file.warnings.join(), /matches no request/, name);
    }
    for (const name of ['app.example.com', '*.example.com', 'bücher.example', '_a.example.com']) {
      const file = parseConfigFile(
        `ingress: [{hostname: ${JSON.stringify(name)}, service: "http://a"}, {service: "http_status:404"}]`,
        'c.yml',
      );
      assert.deepEqual(file.warnings, [], name);
    }
  });

  it('answers at once whatever a file of some megabytes holds', () => {
    const rules = Array.from({ length: 100_000 }, (_, at) => `- hostname: h${at}.test\n  service: http://127.0.0.1\n`);
    const tooMuch: readonly (readonly [string, RegExp])[] = [
      [`ingress:\n${rules.join('')}`, /too large/],
      ['\n'.repeat(8_000_000), /too large/],
      [`y: [${'1,'.repeat(200_000)}]`, /too large/],
      [`a: ${'['.repeat(50_000)}`, /too deep/],
      ['? '.repeat(20_000), /too deep/],
      [Array.from({ length: 3_000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''), /too deep/],
    ];
    const beganMs = performance.now();
    for (const [text, words] of tooMuch) assert.match(problems(text)[0] ?? '', words);
    // A parser that compares each key with each other one, or looks for each anchor anew, takes a minute.
    parseConfigFile(Array.from({ length: 10_000 }, (_, at) => `k${at}: 1\n`).join(''), 'c.yml');
    parseConfigFile(`y: [${Array.from({ length: 10_000 }, (_, at) => `&a${at} 1, *a${at}`).join(', ')}]`, 'c.yml');
    assert.ok(performance.now() - beganMs < 10_000);
  });

  it('bounds alias bombs and deep nesting', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1)
      lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
    assert.match(problems(lines.join('\n'))[0] ?? '', /the document is too large/);
    assert.match(problems(`a: ${'['.repeat(100)}${']'.repeat(100)}`)[0] ?? '', /the document is too deep/);
    assert.match(problems('a: &a [*a]')[0] ?? '', /too deep|Unresolved alias/);
  });

  it('refuses durations without a unit, which would be nanoseconds', () => {
    for (const [text, written] of [
      ['originRequest: {connectTimeout: 30}', '30s'],
      ['warp-routing: {tcpKeepAlive: 1.5}', '1.5s'],
      ['ingress: [{service: http_status:404, originRequest: {keepAliveTimeout: 90}}]', '90s'],
    ] as const) {
      assert.match(problems(text)[0] ?? '', new RegExp(`write "${written}" for`), text);
    }
    assert.deepEqual(problems('originRequest: {connectTimeout: 0}\ningress: [{service: http_status:404}]'), []);
  });

  it('warns of keys and values without effect', () => {
    const file = parseConfigFile(
      `originRequest:
  connectTimeout: 30s
  conectTimeout: 30s
  access: {required: true, teamname: x}
  proxyType: socks5
ingress:
  - Hostname: x
    service: socks-proxy
    originRequest: {ipRules: []}
warp-routing: {enabled: true}
whatever: 1
`,
      'c.yml',
    );
    assert.deepEqual(
      file.unusedKeys.map(({ text, suggestion }) => `${text} ${suggestion}`),
      [
        'line 3: field conectTimeout not found in type config.OriginRequestConfig connectTimeout',
        'line 4: field teamname not found in type config.AccessConfig teamName',
        'line 10: field enabled not found in type config.WarpRoutingConfig undefined',
        'line 7: field Hostname not found in type config.UnvalidatedIngressRule hostname',
      ],
    );
    assert.equal(file.config?.rules[0]?.originRequest.connectTimeoutMs, 30_000);
    assert.deepEqual(
      file.oddities.map(line => line.split(':').slice(1, 3).join(':')),
      ['5:14', '4:11', '9:20'],
    );
    assert.equal(file.warnings.length, 8);
  });

  it('warns of unknown settings with the nearest known one, and of log levels that there are not', () => {
    const text = 'loglvel: info\nmetricz: localhost:1\nloglevel: verbose\ntransport-loglevel: warn\nbucket-name: x\n';
    assert.deepEqual(parseConfigFile(text, 'c.yml').warnings, [
      'c.yml:1:10: loglvel is no setting. It is ignored; loglevel exists.',
      'c.yml:2:10: metricz is no setting. It is ignored; metrics exists.',
      'c.yml:3:11: verbose is no log level. It is one of trace, debug, info, warn, error, fatal.',
    ]);
  });

  it('reads from disk, and says what is wrong with a missing file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-config-'));
    after(() => rm(folder, { recursive: true, force: true }));
    const missing = join(folder, 'none.yml');
    await assert.rejects(loadIngressFile(missing), { code: 'config.not-found', message: /none\.yml.*does not exist/ });
    await assert.rejects(loadIngressFile(folder), { code: 'config.not-found', message: /it is a directory/ });

    const directories = configDirectories(join(folder, 'home'), 'linux');
    assert.deepEqual(directories.slice(4), ['/etc/postern', '/etc/cloudflared', '/usr/local/etc/cloudflared']);
    const own = directories.slice(0, 4);
    assert.deepEqual(
      own.map(path => relative(join(folder, 'home'), path)),
      ['.postern', '.cloudflared', '.cloudflare-warp', 'cloudflare-warp'],
    );
    assert.equal(await findConfigFile(own), undefined);
    for (const name of ['.cloudflared', '.postern']) await mkdir(join(folder, 'home', name), { recursive: true });
    await writeFile(join(folder, 'home', '.cloudflared', 'config.yml'), 'tunnel: 7\n');
    const second = await findConfigFile(own);
    assert.equal(second, join(folder, 'home', '.cloudflared', 'config.yml'));
    assert.equal((await loadIngressFile(second)).tunnel, '7');
    await writeFile(join(folder, 'home', '.postern', 'config.yaml'), '');
    assert.equal(await findConfigFile(own), join(folder, 'home', '.postern', 'config.yaml'));
  });
});

it('takes numbers with underscores, and names that look like numbers', () => {
  const text =
    'tunnel: 2_024\nretries: 1_000\noriginRequest: {keepAliveConnections: 1_0}\ningress: [{service: http_status:404}]\n';
  const { tunnel, settings, originRequest } = parseConfigFile(text, 'c.yml');
  assert.deepEqual([tunnel, settings.retries, originRequest.keepAliveConnections], ['2_024', 1_000, 10]);
  assert.match(problems('retries: "1_000"\n')[0] ?? '', /expected int found string/);
  assert.match(problems('tunnel: [a]\n')[0] ?? '', /tunnel must be the id or name/);
});

describe('the list of tunnels', () => {
  const rules = 'ingress: [{service: http_status:404}]\n';

  it('gives each tunnel what its entry says, and for the rest what the file says for all', () => {
    const file = parseConfigFile(
      `tunnels:
  - home
  - {tunnel: office, cred-file: /office.json, edge: [127.0.0.1:1], originRequest: {httpHostHeader: own}}
  - {token-file: /t, url: http://127.0.0.1:1}
  - home
edge: [127.0.0.1:2]
credentials-file: /all.json
originRequest: {httpHostHeader: all, noTLSVerify: true}
${rules}`,
      'c.yml',
    );
    assert.deepEqual(
      file.tunnels?.map(({ name }) => name),
      ['home', 'office', '/t'],
    );
    const [home, office, other] = ['home', 'office', '/t'].map(name => fileOfTunnel(file, name));
    const about = (of: typeof home) => [of?.tunnel, of?.credentialsFile, of?.settings.edge];
    assert.deepEqual(about(home), ['home', '/all.json', ['127.0.0.1:2']]);
    assert.deepEqual(about(office), ['office', '/office.json', ['127.0.0.1:1']]);
    const origin = (of: typeof home) => {
      const { httpHostHeader, noTLSVerify } = of?.config?.rules[0]?.originRequest ?? {};
      return [httpHostHeader, noTLSVerify];
    };
    assert.deepEqual(
      [origin(home), origin(office)],
      [
        ['all', true],
        ['own', true],
      ],
    );
    // Its own origin counts, not the rules of the others.
    assert.deepEqual([other?.tunnel, other?.config], [undefined, undefined]);
    assert.equal(fileOfTunnel(file, 'office')?.places.edge?.line, 3);
    assert.equal(fileOfTunnel(file, 'nobody'), undefined);
  });

  for (const [entry, fault] of [
    ['3: {}', 'tunnels must be a list. Write an id or name'],
    ['- [a]', 'tunnels[0] is not a tunnel. Write an id or name, or a map'],
    ['- {edge: [127.0.0.1:1]}', 'tunnels[0] does not say which tunnel it is. Add tunnel or token-file.'],
    ['- {tunnel: a, edgee: x}', 'an entry of tunnels has no key edgee. Did you mean edge?'],
    ['- {tunnel: a, metrics: x}', 'an entry of tunnels has no key metrics. It is for the whole process'],
    ['- {tunnel: a, retries: x}', 'expected int found string for retries. Write a number without quotes.'],
    ['- {tunnel: a, ingress: [{service: nonsense}]}', 'nonsense is an invalid address'],
    ['- {tunnel: a}\n  - {tunnel: a, edge: [127.0.0.1:1]}', 'tunnels names "a" twice, with different settings'],
  ] as const) {
    it(`names the place of ${JSON.stringify(entry)}`, () => {
      const [first = '', ...others] = problems(`tunnels:\n  ${entry}\n${rules}`);
      assert.deepEqual(others, []);
      assert.match(first, /^c\.yml:[23]:\d+: /);
      assert.ok(first.includes(fault), first);
    });
  }
});
