import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIp } from '../../net/address/ip.ts';
import { formatPrivateHost, formatPrivateTarget, parsePrivateHost, routeAllows } from './private-host.ts';

describe('private host', () => {
  it('is an address or a name, in one form each', () => {
    const forms = [
      ['10.1.2.3', '10.1.2.3', '10.1.2.3:80'],
      ['::ffff:10.1.2.3', '10.1.2.3', '10.1.2.3:80'],
      ['FD00:0::1', 'fd00::1', '[fd00::1]:80'],
      ['DB.Internal.', 'db.internal', 'db.internal:80'],
      ['_srv-1.x', '_srv-1.x', '_srv-1.x:80'],
    ];
    for (const [text = '', host, target] of forms) {
      const parsed = parsePrivateHost(text);
      assert.ok(parsed !== undefined, text);
      assert.deepEqual([formatPrivateHost(parsed), formatPrivateTarget(parsed, 80)], [host, target]);
      assert.deepEqual(parsePrivateHost(formatPrivateHost(parsed)), parsed);
    }
  });

  it('is nothing that a resolver might take for an address, and nothing malformed', () => {
    const wrong = [
      '',
      '.',
      '10.1',
      '2130706433',
      '0x7f000001',
      'a.0x7f',
      '127.1',
      '01.2.3.4',
      'a..b',
      '-a',
      'a b',
      'a/b',
    ];
    for (const text of [
      ...wrong,
      'a\0',
      'a@b',
      'a:80',
      '[::1]',
      'fe80::1%eth0',
      'ä',
      `${'a'.repeat(64)}`,
      'a.'.repeat(130),
    ])
      assert.equal(parsePrivateHost(text), undefined, JSON.stringify(text));
  });

  it('is reached by a route that names it when it is the connector’s own machine', () => {
    const allows = (prefix: string, address: string) => routeAllows(prefix, parseIp(address) ?? assert.fail());
    assert.ok(allows('10.0.0.0/8', '10.1.2.3') && allows('0.0.0.0/0', '10.1.2.3') && allows('::/0', 'fd00::1'));
    for (const special of ['127.0.0.1', '169.254.169.254', '0.0.0.0', '224.0.0.251', '255.255.255.255'])
      assert.equal(allows('0.0.0.0/0', special), false, special);
    for (const special of ['::1', 'fe80::1', 'ff02::1', '::']) assert.equal(allows('::/0', special), false, special);
    assert.equal(allows('64.0.0.0/2', '127.0.0.1'), false);
    assert.ok(allows('127.0.0.0/8', '127.0.0.1') && allows('127.0.0.1/32', '127.0.0.1') && allows('::1/128', '::1'));
    assert.ok(allows('169.254.169.254/32', '169.254.169.254') && allows('fe80::/64', 'fe80::1'));
  });
});
