import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import {
  formatIp,
  isLinkLocal,
  isLoopback,
  isLoopbackHost,
  isMulticastOrBroadcast,
  isSpecialDestination,
  isUnspecified,
  parseIp,
  plainAddress,
  sameIp,
  unmapIpv4,
} from './ip.ts';

/** Parses text that must be an address. */
function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

describe('IP text', () => {
  const canonical: ReadonlyArray<readonly [string, string]> = [
    ['1.2.3.4', '1.2.3.4'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ];
  for (const [text, expected] of canonical) {
    it(`${text} prints as ${expected} and reads back`, () => {
      assert.equal(formatIp(ip(text)), expected);
      assert.ok(sameIp(ip(expected), ip(text)));
    });
  }

  const wrong = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '1..2.3',
    ':',
    ':::',
    '1:2',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
    '::1%eth0',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '0x7f.0.0.1',
  ];
  it('refuses what is not an address, as node:net does', () => {
    for (const text of wrong) {
      assert.equal(parseIp(text), undefined, text);
      // Zones are the one thing that node:net takes and we do not.
      if (!text.includes('%')) assert.equal(isIP(text), 0, text);
    }
  });

  it('knows which destinations are no single host of a network', () => {
    for (const text of ['127.0.0.1', '::', '0.0.0.0', '::ffff:0.0.0.0', 'fe80::1', '224.0.0.1', '255.255.255.255'])
      assert.ok(isSpecialDestination(ip(text)), text);
    for (const text of ['10.0.0.1', '192.168.1.1', 'fd00::1', '::ffff:10.0.0.1', '8.8.8.8'])
      assert.ok(!isSpecialDestination(ip(text)), text);
  });

  it('names the special ranges, mapped forms included', () => {
    for (const text of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(ip(text)), text);
    for (const text of ['128.0.0.1', '::2', '::', '1::1', '::ffff:10.0.0.1']) assert.ok(!isLoopback(ip(text)), text);
    for (const text of ['localhost', '127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopbackHost(text), text);
    for (const text of ['', 'a.localhost', '10.0.0.1', '::']) assert.ok(!isLoopbackHost(text), text);
    for (const text of ['169.254.1.1', 'fe80::1', 'febf::1', '::ffff:169.254.169.254'])
      assert.ok(isLinkLocal(ip(text)), text);
    for (const text of ['169.253.1.1', 'fec0::1']) assert.ok(!isLinkLocal(ip(text)), text);
    for (const text of ['224.0.0.1', '239.1.1.1', '255.255.255.255', 'ff02::1'])
      assert.ok(isMulticastOrBroadcast(ip(text)), text);
    for (const text of ['223.0.0.1', 'fe80::1', '240.0.0.1']) assert.ok(!isMulticastOrBroadcast(ip(text)), text);
    assert.ok(isUnspecified(ip('::')) && isUnspecified(ip('0.0.0.0')) && !isUnspecified(ip('::1')));
    assert.equal(formatIp(unmapIpv4(ip('::ffff:1.2.3.4'))), '1.2.3.4');
  });
});

describe('addresses of sockets', () => {
  it('writes addresses of sockets plainly', () => {
    assert.deepEqual(['::ffff:192.0.2.1', '192.0.2.1', 'fe80::1%eth0', undefined].map(plainAddress), [
      '192.0.2.1',
      '192.0.2.1',
      'fe80::1',
      '',
    ]);
  });
});
