import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatIpPort, parseIpPort } from './host-port.ts';
import { chooseResolver, isVirtualDns } from './virtual-dns.ts';

const chosen = (given: readonly string[], system: readonly string[]): string => {
  const { address, port } = chooseResolver(
    given.flatMap(text => parseIpPort(text) ?? []),
    () => system,
  );
  return formatIpPort(address, port);
};

describe('virtual DNS', () => {
  it('is one address and port', () => {
    const is = (text: string): boolean => {
      const parsed = parseIpPort(text);
      assert.ok(parsed !== undefined);
      return isVirtualDns(parsed.address, parsed.port);
    };
    assert.ok(is('[2606:4700:cf1:2000::1]:53'));
    assert.ok(!is('[2606:4700:cf1:2000::1]:54') && !is('[2606:4700:cf1:2000::2]:53') && !is('38.6.71.0:53'));
  });

  it('takes given addresses before the system’s, and loopback when there is none', () => {
    assert.equal(chosen(['10.0.0.53:5353'], ['1.1.1.1']), '10.0.0.53:5353');
    assert.equal(chosen([], ['1.1.1.1', '8.8.8.8']), '1.1.1.1:53');
    assert.equal(chosen([], ['fe80::1%eth0', '[2001:db8::53]:5353']), '[2001:db8::53]:5353');
    assert.equal(chosen([], []), '127.0.0.1:53');
    const both = new Set(Array.from({ length: 100 }, () => chosen(['10.0.0.1:53', '10.0.0.2:53'], [])));
    assert.equal(both.size, 2);
  });
});
