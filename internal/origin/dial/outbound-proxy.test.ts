import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyAuthorization } from '../../net/proxy/forward-proxy.ts';
import { chooseProxy } from './outbound-proxy.ts';

const through = (noProxy: string, host: string, port = 443): boolean =>
  chooseProxy({ httpProxy: '', httpsProxy: 'http://proxy:3128', noProxy }, 'https', host, port) !== undefined;

describe('outbound proxy', () => {
  it('follows NO_PROXY', () => {
    for (const [noProxy, host, expected] of [
      ['', 'a.test', true],
      ['*', 'a.test', false],
      ['a.test', 'a.test', false],
      ['A.test', 'x.a.TEST', false],
      ['a.test', 'xa.test', true],
      ['.a.test', 'a.test', true],
      ['.a.test', 'x.a.test', false],
      ['*.a.test', 'x.a.test', false],
      ['b.test, a.test:443', 'a.test', false],
      ['a.test:80', 'a.test', true],
      ['10.0.0.0/8', '10.1.2.3', false],
      ['10.0.0.0/8', '11.1.2.3', true],
      ['10.1.2.3', '10.1.2.3', false],
      ['fd00::1', 'fd00::1', false],
      ['[fd00::1]:443', 'fd00::1', false],
      ['', 'localhost', false],
      ['', '127.3.2.1', false],
      ['', '::1', false],
    ] as const)
      assert.equal(through(noProxy, host), expected, `${noProxy} ${host}`);
  });

  it('reads the proxy of each scheme', () => {
    const settings = { httpProxy: 'plain:81', httpsProxy: 'socks5h://u:p%3A@[::2]', noProxy: '' };
    assert.deepEqual(chooseProxy(settings, 'http', 'a.test', 80), {
      kind: 'http',
      host: 'plain',
      port: 81,
      user: '',
      password: '',
    });
    const secure = chooseProxy(settings, 'https', 'a.test', 443);
    assert.deepEqual(secure, { kind: 'socks5', host: '::2', port: 1080, user: 'u', password: 'p:' });
    assert.equal(secure && proxyAuthorization(secure), `Basic ${Buffer.from('u:p:').toString('base64')}`);
    assert.throws(() => chooseProxy({ ...settings, httpProxy: 'ftp://x' }, 'http', 'a.test', 80), /not a URL of http/);
  });
});
