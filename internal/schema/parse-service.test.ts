import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseService } from './parse-service.ts';
import type { Service } from './service.ts';

function accepted(text: string, bastionMode = false): Service {
  const result = parseService(text, bastionMode);
  assert.ok('service' in result, `${text}: ${JSON.stringify(result)}`);
  return result.service;
}

function refused(text: string): { text: string; remedy: string } {
  const result = parseService(text, false);
  assert.ok('fault' in result, `${text}: ${JSON.stringify(result)}`);
  return result.fault;
}

describe('service', () => {
  it('parses every form', () => {
    const http = (scheme: string, hostname: string, port: number, text: string): unknown => ({
      kind: 'http',
      text,
      scheme,
      hostname,
      port,
    });
    assert.deepEqual(accepted('http://localhost:8000'), http('http', 'localhost', 8000, 'http://localhost:8000'));
    assert.deepEqual(accepted('HTTPS://Example.com'), http('https', 'Example.com', 443, 'https://Example.com'));
    assert.deepEqual(accepted('ws://[::1]:81'), http('ws', '::1', 81, 'ws://[::1]:81'));
    assert.deepEqual(accepted('wss://[fe80::1%25eth0]'), http('wss', 'fe80::1%eth0', 443, 'wss://[fe80::1%25eth0]'));
    assert.deepEqual(accepted('h2c://grpc:50051'), http('h2c', 'grpc', 50051, 'h2c://grpc:50051'));
    assert.deepEqual(accepted('http://a?x=1#y'), http('http', 'a', 80, 'http://a?x=1#y'));
    assert.deepEqual(accepted('http://me:secret@a'), http('http', 'a', 80, 'http://me:xxxxx@a'));
    assert.deepEqual(accepted('unix:/run/app.sock'), {
      kind: 'unix',
      text: 'unix:/run/app.sock',
      path: '/run/app.sock',
      tls: false,
    });
    assert.deepEqual(accepted('unix+tls:x y'), { kind: 'unix', text: 'unix+tls:x y', path: 'x y', tls: true });
    assert.deepEqual(accepted('http_status:404'), { kind: 'status', text: 'http_status:404', status: 404 });
    assert.deepEqual(accepted('hello-world'), { kind: 'hello-world', text: 'hello_world' });
    assert.deepEqual(accepted('socks-proxy'), { kind: 'socks-proxy', text: 'socks-proxy' });
    assert.deepEqual(accepted('bastion'), { kind: 'bastion', text: 'bastion' });
    assert.deepEqual(accepted('ssh://host'), {
      kind: 'tcp',
      text: 'ssh://host:22',
      scheme: 'ssh',
      hostname: 'host',
      port: 22,
    });
    assert.equal(accepted('rdp://host').text, 'rdp://host:3389');
    assert.equal(accepted('smb://[::1]').text, 'smb://[::1]:445');
    assert.equal(accepted('tcp://host').text, 'tcp://host:7864');
    assert.equal(accepted('tcp://host:1').text, 'tcp://host:1');
    assert.deepEqual(accepted('ftp://host'), {
      kind: 'tcp',
      text: 'ftp://host',
      scheme: 'ftp',
      hostname: 'host',
      port: undefined,
    });
  });

  it('bastionMode turns URL services into a jump host, and no others', () => {
    assert.equal(accepted('tcp://host', true).kind, 'bastion');
    assert.equal(accepted('nonsense', true).kind, 'bastion');
    assert.equal(accepted('', true).kind, 'bastion');
    assert.equal(accepted('http_status:200', true).kind, 'status');
  });

  it('refuses with the texts of cloudflared', () => {
    const invalid = 'is an invalid address, please make sure it has a scheme and a hostname';
    const cases: readonly (readonly [string, string])[] = [
      ['', ` ${invalid}`],
      ['localhost', `localhost ${invalid}`],
      ['localhost:8080', `localhost:8080 ${invalid}`],
      ['http://', `http:// ${invalid}`],
      ['http://:8080', `http://:8080 ${invalid}`],
      ['//host', `//host ${invalid}`],
      ['127.0.0.1:80', 'parse "127.0.0.1:80": first path segment in URL cannot contain colon'],
      [':80', 'parse ":80": missing protocol scheme'],
      ['http://a:b', 'parse "http://a:b": invalid port ":b" after host'],
      ['http://[::1', 'parse "http://[::1": missing \']\' in host'],
      ['http://a b', 'parse "http://a b": invalid character " " in host name'],
      ['http://a%zz', 'parse "http://a%zz": invalid URL escape "%zz"'],
      ['http://a\n', 'parse "http://a\\n": net/url: invalid control character in URL'],
      ['http_status:x', 'invalid HTTP status code: strconv.Atoi: parsing "x": invalid syntax'],
      ['http_status:', 'invalid HTTP status code: strconv.Atoi: parsing "": invalid syntax'],
      ['http_status:99', 'invalid HTTP status code: 99'],
      ['http_status:1000', 'invalid HTTP status code: 1000'],
    ];
    for (const [text, expected] of cases) assert.equal(refused(text).text, expected);
    for (const text of ['http://a/', 'https://a/b?c', 'tcp://a/x']) {
      assert.equal(
        refused(text).text,
        `${text} is an invalid address, ingress rules don't support proxying to a different path on the origin service. ` +
          "The path will be the same as the eyeball request's path",
      );
    }
  });

  it('refuses a misspelled http, and takes the names of other protocols', () => {
    for (const scheme of ['htp', 'htpp', 'hhtp', 'HTPS', 'httpss', 'htt'])
      assert.match(refused(`${scheme}://localhost:3000`).remedy, /^Did you mean https?:\/\/localhost:3000\?$/);
    for (const scheme of ['ftp', 'sftp', 'ntp', 'tftp', 'vnc', 'smtp', 'ssl', 'tls', 'mqtt', 'postgres', 'udp'])
      assert.equal(accepted(`${scheme}://localhost:3000`).kind, 'tcp');
  });

  it('says what would be right, and never shows a password', () => {
    assert.match(refused('localhost:8080').remedy, /"http:\/\/localhost:8080"/);
    assert.match(refused('https://a:8443/api/').remedy, /"https:\/\/a:8443"/);
    assert.match(refused('http://a:99999').text, /port 99999/);
    for (const text of ['http://me:secret@a/x', 'http://me:secret@a:b', 'http://me:secret@'])
      assert.doesNotMatch(JSON.stringify(refused(text)), /secret/);
  });
});
