import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bracketed,
  formatHostPort,
  formatIpPort,
  hostOf,
  hostOfHeader,
  parseHostPort,
  parseIpPort,
  parseListenAddress,
  splitHostPort,
} from './host-port.ts';
import { parseIp } from './ip.ts';

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

describe('host and port', () => {
  it('writes what it reads, IPv6 in brackets', () => {
    for (const text of ['example.com:80', '10.0.0.1:65535', '[2001:db8::1]:53', '[fe80::1%eth0]:1', '127.1:9']) {
      const parsed = parseHostPort(text);
      assert.ok(parsed !== undefined, text);
      assert.equal(formatHostPort(parsed.host, parsed.port), text);
      assert.deepEqual(splitHostPort(text), parsed);
      assert.equal(hostOf(text), parsed.host);
    }
    assert.equal(bracketed('::1'), '[::1]');
    assert.equal(bracketed('a.example'), 'a.example');
  });

  it('refuses what is neither', () => {
    const wrong = [
      '',
      'a',
      'a:',
      ':1',
      'a:0',
      'a:65536',
      '::1:53',
      '[::1]',
      '[10.0.0.1]:1',
      '[a]:1',
      '[::1:1',
      'a b:1',
    ];
    for (const text of [...wrong, 'a:1x', 'a:+1', 'a/b:1', 'http://a:1', 'a:1\n', '[::1]x:1', 'a:123456'])
      assert.equal(parseHostPort(text), undefined, text);
  });

  it('takes another port where there is none', () => {
    assert.deepEqual(parseHostPort('a', 80), { host: 'a', port: 80 });
    assert.deepEqual(parseHostPort('[::1]', 80), { host: '::1', port: 80 });
    assert.deepEqual(parseHostPort('a:81', 80), { host: 'a', port: 81 });
    for (const text of ['', '::1', 'a:', 'a:0']) assert.equal(parseHostPort(text, 80), undefined, text);
  });

  it('reads where to listen: any port, every address', () => {
    assert.deepEqual(parseListenAddress('localhost:0'), { host: 'localhost', port: 0 });
    assert.deepEqual(parseListenAddress(':8080'), { host: '::', port: 8080 });
    assert.deepEqual(parseListenAddress('[::1]:65535'), { host: '::1', port: 65_535 });
    for (const text of ['', '8080', 'localhost', 'localhost:65536', '::1:80'])
      assert.equal(parseListenAddress(text), undefined, text);
  });

  it('takes the host out of a Host header', () => {
    const hosts = { 'a.example': 'a.example', 'a.example:': 'a.example', '[::1]': '::1', '[::1]:80': '::1', '': '' };
    for (const [text, host] of Object.entries(hosts)) assert.equal(hostOf(text), host, text);
  });

  it('takes no host out of a Host header that others read in another way', () => {
    const hosts = { 'A.example:': 'a.example', '[::1]:80': '::1', 'localhost.': 'localhost.', '1.2.3.4:5': '1.2.3.4' };
    for (const [text, host] of Object.entries(hosts)) assert.equal(hostOfHeader(text), host, text);
    const wrong = ['', ':80', '::1', '[a]', '[::1', '[::1]x', '127.0.0.1:7845@a.example', '127.0.0.1@a', '127.0.0.1/a'];
    const more = ['127.0.0.1:1/a', '127.0.0.1\tx', 'a b', 'localhost\n', 'a:99999', 'a:1x', '127.0.0.1#a', 'a\\b', 'ä'];
    for (const text of [...wrong, ...more]) assert.equal(hostOfHeader(text), undefined, text);
  });

  it('reads and prints address and port', () => {
    assert.deepEqual(parseIpPort('[2606:4700:cf1:2000::1]:53'), { address: ip('2606:4700:cf1:2000::1'), port: 53 });
    assert.deepEqual(parseIpPort('10.0.0.1:65535'), { address: ip('10.0.0.1'), port: 65_535 });
    const wrong = [
      '10.0.0.1',
      '10.0.0.1:0',
      '10.0.0.1:65536',
      '::1:53',
      '[10.0.0.1]:53',
      '[::1]',
      'a:1',
      '[fe80::1%a]:1',
    ];
    for (const text of wrong) assert.equal(parseIpPort(text), undefined, text);
    assert.equal(formatIpPort(ip('::1'), 53), '[::1]:53');
    assert.equal(formatIpPort(ip('10.0.0.1'), 53), '10.0.0.1:53');
  });
});
