import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../internal/errors/error.ts';
import { formatPrivateTarget } from '../../internal/private-network/routes/private-host.ts';
import { type OnRampFlags, parseOnRamps } from './on-ramp-settings.ts';

const none: OnRampFlags = {
  ...{
    socks: undefined,
    socksOpen: false,
    httpProxy: undefined,
    httpProxyOpen: false,
    dns: [],
    confineHostnames: false,
  },
};
const refused = (flags: Partial<OnRampFlags>, text: RegExp): void =>
  assert.throws(
    () => parseOnRamps({ ...none, ...flags }),
    error => isPosternError(error, 'usage.invalid') && text.test(error.message),
    JSON.stringify(flags),
  );

describe('on-ramp flags', () => {
  it('name addresses to listen on', () => {
    assert.deepEqual(parseOnRamps(none), { socks: undefined, httpProxy: undefined, dns: [], confineHostnames: false });
    const settings = parseOnRamps({ ...none, socks: 'localhost:1080', socksOpen: true, httpProxy: '[::1]:3128' });
    assert.deepEqual(settings, {
      ...{
        socks: { host: '127.0.0.1', port: 1080, open: true },
        httpProxy: { host: '::1', port: 3128, open: false },
        dns: [],
        confineHostnames: false,
      },
    });
    for (const text of [
      '',
      '1080',
      ':1080',
      'host.example:1080',
      '127.0.0.1',
      '127.0.0.1:65536',
      '[127.0.0.1]:1',
      '[x:]:1',
    ])
      refused({ socks: text }, /--socks must listen on ADDRESS:PORT/);
    refused({ socksOpen: true }, /give --socks/);
    refused({ httpProxy: 'x' }, /--http-proxy/);
  });

  it('name a resolver for a virtual network', () => {
    const parse = (text: string): string => {
      const [one] = parseOnRamps({ ...none, dns: [text] }).dns;
      if (one === undefined) assert.fail();
      return [one.vnet, one.host, one.port, formatPrivateTarget(one.resolver.host, one.resolver.port)].join(' ');
    };
    assert.equal(parse('default=127.0.0.1:53,resolver=10.0.0.53'), 'default 127.0.0.1 53 10.0.0.53:53');
    assert.equal(parse('a=b=[::1]:53,resolver=10.0.0.53:5353'), 'a=b ::1 53 10.0.0.53:5353');
    assert.equal(parse('v=127.0.0.1:0,resolver=fd00::53'), 'v 127.0.0.1 0 [fd00::53]:53');
    assert.equal(parse('v=127.0.0.1:0,resolver=[fd00::53]:54'), 'v 127.0.0.1 0 [fd00::53]:54');
    const wrong = [
      'default',
      'default=127.0.0.1:53',
      '=127.0.0.1:53,resolver=10.0.0.1',
      'v=127.0.0.1:53,resolver=dns.example',
    ];
    for (const text of [
      ...wrong,
      'v=127.0.0.1:53,resolver=10.0.0.1:0',
      'v=host:53,resolver=10.0.0.1',
      'v=127.0.0.1:53,resolver=',
    ])
      refused({ dns: [text] }, /--dns must/);
  });
});
