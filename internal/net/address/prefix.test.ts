import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIp } from './ip.ts';
import { formatPrefix, type Prefix, parsePrefix, prefixContains } from './prefix.ts';
import { PrefixTable } from './prefix-table.ts';

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

describe('prefixes', () => {
  it('reads and prints', () => {
    for (const text of ['10.1.0.0/16', '0.0.0.0/0', '::/0', '2001:db8::/33', '10.128.0.0/9', '192.0.2.1/32'])
      assert.equal(formatPrefix(prefix(text)), text);
    assert.equal(formatPrefix(prefix('192.0.2.1')), '192.0.2.1/32');
    assert.equal(formatPrefix(prefix('2001:DB8::')), '2001:db8::/128');
    for (const text of [
      '10.1.0.1/16',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/08',
      '10.0.0.0/-1',
      'x/8',
      '10.0.0.0/8/8',
    ])
      assert.equal(parsePrefix(text), undefined, text);
  });

  it('contains exactly the addresses between its ends', () => {
    const odd = prefix('10.16.0.0/12');
    for (const text of ['10.16.0.0', '10.31.255.255', '10.20.1.1']) assert.ok(prefixContains(odd, ip(text)), text);
    for (const text of ['10.15.255.255', '10.32.0.0', '::ffff:10.16.0.1'])
      assert.ok(!prefixContains(odd, ip(text)), text);
    assert.ok(prefixContains(prefix('::/0'), ip('ffff::')));
    assert.ok(!prefixContains(prefix('::/0'), ip('1.2.3.4')));
    assert.ok(prefixContains(prefix('2001:db8::/33'), ip('2001:db8:7fff::1')));
    assert.ok(!prefixContains(prefix('2001:db8::/33'), ip('2001:db8:8000::1')));
  });
});

describe('prefix table', () => {
  it('finds the longest match and forgets what is deleted', () => {
    const table = new PrefixTable<string>();
    for (const text of ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3/32', '0.0.0.0/0', '2001:db8::/32'])
      table.set(prefix(text), text);
    assert.equal(table.size, 5);
    assert.equal(table.lookup(ip('10.1.2.3')), '10.1.2.3/32');
    assert.equal(table.lookup(ip('10.1.2.4')), '10.1.0.0/16');
    assert.equal(table.lookup(ip('10.2.0.0')), '10.0.0.0/8');
    assert.equal(table.lookup(ip('11.0.0.1')), '0.0.0.0/0');
    assert.equal(table.lookup(ip('2001:db8::5')), '2001:db8::/32');
    assert.equal(table.lookup(ip('::1')), undefined);
    assert.ok(table.delete(prefix('10.1.0.0/16')));
    assert.ok(!table.delete(prefix('10.1.0.0/16')));
    assert.equal(table.lookup(ip('10.1.2.4')), '10.0.0.0/8');
    table.set(prefix('10.0.0.0/8'), 'again');
    assert.equal(table.size, 4);
    assert.equal(table.get(prefix('10.0.0.0/8')), 'again');
  });
});
