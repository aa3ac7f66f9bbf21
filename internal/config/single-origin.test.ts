import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfigFile } from './file/config-file.ts';
import { localIngress } from './file/local-ingress.ts';
import { singleOriginRule, validateOriginUrl } from './single-origin.ts';
import { resolveTunnelSettings, type TunnelSettings } from './tunnel-settings.ts';

const settingsOf = (flags: Record<string, string>): TunnelSettings =>
  resolveTunnelSettings({
    flags: Object.fromEntries(Object.entries(flags).map(([name, text]) => [name, [text]])),
    env: {},
  });
const serviceOf = (flags: Record<string, string>): string | undefined =>
  singleOriginRule(settingsOf(flags))?.service.text;

describe('single origin', () => {
  it('brings what people type into URL form', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['localhost:3000', 'http://localhost:3000'],
      ['localhost', 'http://localhost'],
      ['127.0.0.1', 'http://127.0.0.1'],
      ['::1', 'http://[::1]'],
      ['[::1]', 'http://[::1]'],
      ['[::1]:80', 'http://[::1]:80'],
      ['127.0.0.1:80', 'http://127.0.0.1:80'],
      ['https://localhost:8080/api/', 'https://localhost:8080'],
      ['localhost:8080/api/', 'http://localhost:8080'],
      ['HTTP://host?x=1', 'http://host'],
      ['ssh://host', 'ssh://host'],
      ['http://bücher.example:1/', 'http://xn--bcher-kva.example:1'],
      [' http://a ', 'http://a'],
    ];
    for (const [text, expected] of cases) assert.equal(validateOriginUrl(text), expected, text);
  });

  it('refuses with the texts users know', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      [' ', /^Error validating origin URL: URL should not be empty$/],
      ['22100', /^Error validating origin URL: 22100 is a port, not a host\. Write http:\/\/localhost:22100$/],
      ['unix:', /^Error validating origin URL: unix: needs a path/],
      ['ftp://x', /^Error validating origin URL: Currently Postern does not support ftp protocol\./],
      ['http://', /^Error validating origin URL: .*no host name/],
      ['http://a:b', /^Error validating origin URL: parse "http:\/\/a:b": invalid port ":b" after host/],
      ['http://a:99999', /port 99999 does not exist/],
    ];
    for (const [url, message] of cases) assert.throws(() => serviceOf({ url }), { code: 'usage.invalid', message });
    assert.throws(
      () => serviceOf({ url: 'http://a', 'unix-socket': '/x' }),
      /--unix-socket must be used exclusively\./,
    );
  });

  it('takes the first of hello-world, bastion, url, unix-socket', () => {
    assert.throws(() => serviceOf({ 'hello-world': 'true', url: 'http://a' }), /name two services/);
    assert.equal(serviceOf({ 'hello-world': 'true', bastion: 'true' }), 'hello_world');
    assert.equal(serviceOf({ bastion: 'true', url: 'http://a' }), 'bastion');
    assert.equal(serviceOf({ url: 'tcp://a' }), 'tcp://a:7864');
    assert.equal(serviceOf({ url: 'unix:/run/app.sock' }), 'unix:/run/app.sock');
    assert.equal(serviceOf({ 'unix-socket': '/run/x' }), 'unix:/run/x');
    assert.equal(serviceOf({}), undefined);
  });

  it('uses the origin flags', () => {
    const rule = singleOriginRule(
      settingsOf({ url: 'tcp://a', socks5: 'true', 'proxy-connect-timeout': '3s', 'no-tls-verify': 'true' }),
    );
    assert.equal(rule?.originRequest.proxyType, 'socks');
    assert.equal(rule?.originRequest.connectTimeoutMs, 3000);
    assert.equal(rule?.originRequest.noTLSVerify, true);
    assert.equal(rule?.originRequest.keepAliveTimeoutMs, 90_000);
  });

  it("prefers the file's rules, and answers 503 without any", () => {
    const rules = parseConfigFile('ingress: [{service: http_status:201}]\n', 'c.yml');
    const none = parseConfigFile('warp-routing: {maxActiveFlows: 4}\n', 'c.yml');
    assert.equal(localIngress(settingsOf({ url: 'http://a' }), rules).source, 'file');
    const flags = localIngress(settingsOf({ url: 'http://a' }), none);
    assert.equal(flags.source, 'flags');
    assert.equal(flags.config.warpRouting.maxActiveFlows, 4);
    const nothing = localIngress(settingsOf({}), undefined);
    assert.equal(nothing.source, 'none');
    assert.equal(nothing.config.rules[0]?.service.text, 'http_status:503');
  });
});
