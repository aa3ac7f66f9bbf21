import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from './config-error.ts';
import { originRequestDefaults } from './origin-request.ts';
import { parseJsonConfigFlag, parseRemoteConfig } from './remote-config.ts';

function issuesOf(json: unknown): string[] {
  try {
    parseRemoteConfig(json);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, 'config.invalid');
    return error.message.split('\n');
  }
  return [];
}

describe('remote configuration', () => {
  it('parses rules with durations in seconds, defaults merged', () => {
    const config = parseRemoteConfig(
      '{"originRequest":{"connectTimeout":10,"noTLSVerify":true},' +
        '"ingress":[{"hostname":"app.example.com","path":"","service":"http://localhost:8000",' +
        '"originRequest":{"noTLSVerify":false,"tlsTimeout":3}},{"service":"http_status:404"}],' +
        '"warp-routing":{"connectTimeout":6,"tcpKeepAlive":31,"maxActiveFlows":9}}',
    );
    assert.equal(config.rules.length, 2);
    assert.deepEqual(config.rules[0]?.originRequest, {
      ...originRequestDefaults,
      connectTimeoutMs: 10_000,
      tlsTimeoutMs: 3000,
    });
    assert.equal(config.rules[1]?.originRequest.noTLSVerify, true);
    assert.deepEqual(config.warpRouting, { connectTimeoutMs: 6000, tcpKeepAliveMs: 31_000, maxActiveFlows: 9 });
  });

  it('an empty or missing list answers 503', () => {
    for (const json of ['{}', '{"ingress":[]}', '{"ingress":null}', {}]) {
      const { rules } = parseRemoteConfig(json);
      assert.deepEqual(
        rules.map(rule => rule.service),
        [{ kind: 'status', text: 'http_status:503', status: 503 }],
      );
    }
  });

  it('matches keys in any case, the last spelling wins, unknown keys are ignored', () => {
    const config = parseRemoteConfig(
      '{"INGRESS":[{"Service":"http_status:200","ORIGINREQUEST":{"connecttimeout":1,"foo":2}}],' +
        '"ingress":[{"service":"http_status:201","service":"http_status:202","bar":[{}],"originRequest":{"CAPOOL":"x"}}]}',
    );
    assert.equal(config.rules[0]?.service.text, 'http_status:202');
    assert.equal(config.rules[0]?.originRequest.caPool, 'x');
  });

  it('refuses durations that are not whole seconds', () => {
    for (const value of ['1.5', '1e1', '10.0', '"10s"', '10000000000', 'true']) {
      const found = issuesOf(`{"originRequest":{"connectTimeout":${value}}}`);
      assert.equal(found.length, 1, value);
      assert.match(found[0] ?? '', /^connectTimeout must be a whole number of seconds, such as 30, not /);
    }
    assert.deepEqual(issuesOf('{"originRequest":{"connectTimeout":0}}'), []);
  });

  it('is strict about JSON', () => {
    for (const json of ['', '[', '{"ingress":[],}', "{'ingress':[]}", '{ingress: []}', '{} # x', 'nul'])
      assert.match(issuesOf(json)[0] ?? '', /^the configuration is not JSON/);
    for (const json of ['[]', '"x"', '1'])
      assert.match(issuesOf(json)[0] ?? '', /^the configuration is not a JSON object/);
    assert.match(issuesOf(undefined)[0] ?? '', /^the configuration is not JSON/);
  });

  it('reports every problem at once, text first, then the remedy and the place', () => {
    const found = issuesOf({
      ingress: [
        {
          hostname: 'a.example.com:80',
          service: 'localhost:80',
          originRequest: { connectTimeout: 'x', http2Origin: 1 },
        },
        { service: 'http://a/b' },
        { hostname: 'a.*.com', path: '(', service: 'http_status:2' },
      ],
      'warp-routing': { maxActiveFlows: -1 },
    });
    assert.deepEqual(found, [
      'maxActiveFlows must be an integer, 0 for no limit, not -1 (at warp-routing.maxActiveFlows)',
      'connectTimeout must be a whole number of seconds, such as 30, not "x" (at ingress[0].originRequest.connectTimeout)',
      'http2Origin must be true or false, not 1 (at ingress[0].originRequest.http2Origin)',
      'localhost:80 is an invalid address, please make sure it has a scheme and a hostname. ' +
        'Write "http://localhost:80" if it speaks HTTP, or name its scheme. (at ingress[0].service)',
      'Hostname cannot contain a port. Write "a.example.com". (at ingress[0].hostname)',
      "http://a/b is an invalid address, ingress rules don't support proxying to a different path on the origin service. " +
        'The path will be the same as the eyeball request\'s path. Write "http://a". (at ingress[1].service)',
      "Rule #2 is matching the hostname '', but this will match every hostname, meaning the rules which follow it will " +
        'never be triggered. Move it to the end, or give it a hostname or path. (at ingress[1])',
      'invalid HTTP status code: 2. Write a status code from 100 to 999, for example "http_status:404". (at ingress[2].service)',
      'Hostname patterns can have at most one wildcard character ("*") and it can only be used for subdomains, e.g. ' +
        '"*.example.com". Put the wildcard first, or write one rule for each name. (at ingress[2].hostname)',
      'The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter). ' +
        'Add a last rule with only a service, for example "service: http_status:404". (at ingress[2])',
      'Rule #3 has an invalid regex: error parsing regexp: missing closing ): `(`. Paths are RE2 expressions, without ' +
        'look-around and back references; a literal dot is "\\.". (at ingress[2].path)',
    ]);
  });

  it('checks ipRules where they count, and access', () => {
    const prefix = 'unable to create ip rule for socks-proxy: ';
    const ipRules = [
      {},
      { prefix: 'x' },
      { prefix: '10.0.0.0/33' },
      { prefix: '::/0', ports: [0] },
      { prefix: '1.2.3.4/8' },
    ];
    const texts = issuesOf({
      ingress: [
        { hostname: 'a', service: 'socks-proxy', originRequest: { ipRules } },
        { hostname: 'b', service: 'http_status:200', originRequest: { ipRules } },
        { service: 'http_status:200', originRequest: { access: { required: true, audTag: ['x'] } } },
      ],
    });
    assert.deepEqual(
      texts.map(text => text.split('. ')[0]),
      [
        `${prefix}no prefix provided`,
        `${prefix}unable to parse cidr: x`,
        `${prefix}unable to parse cidr: 10.0.0.0/33`,
        `${prefix}invalid port 0, needs to be between 1 and 65535`,
        'access.TeamName cannot be blank when access.audTags are present',
      ],
    );
  });

  it('keeps top-level access and ipRules away from where the peer ignores them', () => {
    const access = { required: true, teamName: 't', audTag: ['a'], environment: '' };
    const { rules, originRequest } = parseRemoteConfig({
      originRequest: { access, ipRules: [{ prefix: '10.0.0.0/8', allow: true }] },
      ingress: [
        { hostname: 'a', service: 'http_status:200' },
        { hostname: 'b', service: 'http_status:200', originRequest: { access } },
        { service: 'socks-proxy' },
      ],
    });
    assert.equal(rules[0]?.originRequest.access, undefined);
    assert.deepEqual(rules[1]?.originRequest.access, access);
    assert.deepEqual(rules[2]?.originRequest.ipRules, []);
    assert.deepEqual(originRequest?.access, access);
  });

  it('survives hostile input', () => {
    assert.deepEqual(
      issuesOf('{"__proto__":{"x":1},"ingress":[{"service":"http_status:200","__proto__":{"path":"x"}}]}'),
      [],
    );
    assert.notEqual(issuesOf(`${'{"ingress":'.repeat(30_000)}1${'}'.repeat(30_000)}`).length, 0);
    assert.notEqual(issuesOf(`{"ingress":${'['.repeat(5000)}${']'.repeat(5000)}}`).length, 0);
    for (const value of [1, true, 'x', [], [[]], [1], [null], { a: 1 }]) {
      for (const key of ['ingress', 'originRequest', 'warp-routing'] as const) issuesOf({ [key]: value });
      issuesOf({ ingress: [{ service: value, hostname: value, path: value, originRequest: value }] });
      issuesOf({ ingress: [{ service: 'http://a', originRequest: { ipRules: value, access: value, caPool: value } }] });
    }
    assert.match(issuesOf({ ingress: [null] })[0] ?? '', /is an invalid address/);
  });
});

describe('the --json document of ingress validate', () => {
  it("takes Go's field names in any case and must have rules", () => {
    const config = parseJsonConfigFlag(
      '{"TunnelID":"x","Ingress":[{"Service":"http_status:200"}],"warprouting":{"ConnectTimeout":9},"originrequest":{"caPool":"p"}}',
    );
    assert.equal(config.warpRouting.connectTimeoutMs, 9000);
    assert.equal(config.rules[0]?.originRequest.caPool, 'p');
    assert.throws(
      () => parseJsonConfigFlag('{}'),
      /^PosternError: The config file doesn't contain any ingress rules\./,
    );
  });
});
