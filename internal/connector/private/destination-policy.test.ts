import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIp } from '../../net/address/ip.ts';
import { parsePrefix } from '../../net/address/prefix.ts';
import { DestinationPolicy } from './destination-policy.ts';

const ip = (text: string): Uint8Array => parseIp(text) ?? assert.fail(text);

function policy(allowed: readonly string[] = [], bound = '127.0.0.1'): DestinationPolicy {
  return new DestinationPolicy({
    allowed: allowed.map(text => parsePrefix(text) ?? assert.fail(text)),
    own: () => [{ address: bound, port: 20241 }],
    machine: () => ['192.0.2.10', 'fd00::10'],
  });
}

const special = [
  '127.0.0.1',
  '127.8.9.10',
  '::1',
  '::ffff:127.0.0.1',
  '169.254.169.254',
  '::ffff:169.254.169.254',
  'fe80::1',
  '0.0.0.0',
  '::',
  '::ffff:0.0.0.0',
  '224.0.0.251',
  '255.255.255.255',
  'ff02::1',
];

describe('destinations of private traffic', () => {
  it('are refused on this machine and its link', () => {
    for (const text of special) {
      assert.equal(policy().allowsAddress(ip(text)), false, text);
      assert.equal(policy().allowsPrivate(ip(text), 80), false, text);
    }
    for (const text of ['10.0.0.1', '192.0.2.10', '8.8.8.8', 'fd00::1', '2001:db8::1', '::ffff:10.0.0.1'])
      assert.equal(policy().allowsPrivate(ip(text), 80), true, text);
  });

  it('are allowed where the operator says so, and nowhere else', () => {
    const some = policy(['127.0.0.0/8', 'fe80::/10']);
    for (const text of ['127.0.0.1', '::ffff:127.0.0.1', 'fe80::1'])
      assert.equal(some.allowsPrivate(ip(text), 80), true, text);
    for (const text of ['::1', '169.254.169.254', '0.0.0.0', '224.0.0.1'])
      assert.equal(some.allowsPrivate(ip(text), 80), false, text);
  });

  it('never include the metrics endpoint, by whatever address it is reached', () => {
    const all = ['127.0.0.0/8', '0.0.0.0/32', '::/128', '::1'];
    for (const text of ['127.0.0.1', '127.0.0.2', '0.0.0.0', '::ffff:127.0.0.1']) {
      assert.equal(policy(all).allowsPrivate(ip(text), 20241), false, text);
      assert.equal(policy(all).allowsNamed(ip(text), 20241), false, text);
      assert.equal(policy(all).allowsPrivate(ip(text), 20242), true, text);
    }
    for (const text of ['192.0.2.10', 'fd00::10', '127.0.0.1', '::1'])
      assert.equal(policy(all, '::').allowsNamed(ip(text), 20241), false, text);
    assert.equal(policy(all, '::').allowsNamed(ip('192.0.2.11'), 20241), true);
  });

  it('named by visitors of a rule may be on this machine', () => {
    assert.equal(policy().allowsNamed(ip('127.0.0.1'), 22), true);
    assert.equal(policy().allowsNamed(ip('169.254.1.1'), 22), true);
  });
});
