import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, it } from 'node:test';
import { formatIp } from '../net/address/ip.ts';
import { chooseEchoSources, type Interfaces } from './source-address.ts';

function info(address: string, internal = false, scopeid = 0): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '', internal, cidr: null };
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid } : { ...common, family: 'IPv4' };
}

const interfaces: Interfaces = {
  lo: [info('127.0.0.1', true), info('::1', true)],
  eth1: [info('192.0.2.1'), info('2001:db8:1::1')],
  eth0: [info('10.0.0.5'), info('fe80::5', false, 2), info('2001:db8::5')],
};

describe('echo source addresses', () => {
  it('are those of the flags, with their zones', async () => {
    const chosen = await chooseEchoSources({ v4: '10.0.0.5', v6: 'fe80::5%eth0' }, interfaces);
    assert.equal(formatIp(chosen[4].address), '10.0.0.5');
    assert.equal(formatIp(chosen[6].address), 'fe80::5');
    assert.equal(chosen[6].zone, 'eth0');
    assert.equal(chosen[6].scope, 2);
    assert.ok(chosen[4].given && chosen[6].given);
  });

  it('follow the interface of the IPv4 address, global before link-local', async () => {
    const chosen = await chooseEchoSources({ v4: '10.0.0.5', v6: undefined }, interfaces);
    assert.equal(formatIp(chosen[6].address), '2001:db8::5');
    assert.ok(!chosen[6].given);
    const elsewhere = await chooseEchoSources({ v4: '198.51.100.1', v6: undefined }, interfaces);
    assert.equal(formatIp(elsewhere[6].address), '2001:db8:1::1');
    const without = await chooseEchoSources({ v4: '198.51.100.1', v6: undefined }, { lo: interfaces.lo });
    assert.equal(formatIp(without[6].address), '::');
  });

  it('are the system’s own choice without flags', async () => {
    const chosen = await chooseEchoSources({ v4: undefined, v6: undefined });
    assert.equal(chosen[4].address.length, 4);
    assert.equal(chosen[6].address.length, 16);
  });

  it('are refused in the words of cloudflared', async () => {
    await assert.rejects(chooseEchoSources({ v4: '::1', v6: undefined }, interfaces), {
      code: 'usage.invalid',
      message: 'expect IPv4, but ::1 is IPv6',
    });
    await assert.rejects(chooseEchoSources({ v4: undefined, v6: '10.0.0.5' }, interfaces), {
      message: 'expect IPv6, but 10.0.0.5 is IPv4',
    });
    for (const text of ['10.0.0', '10.0.0.5%eth0', 'fe80::5%'])
      await assert.rejects(chooseEchoSources({ v4: text, v6: text }, interfaces), { code: 'usage.invalid' });
    await assert.rejects(chooseEchoSources({ v4: undefined, v6: 'fe80::5%nope' }, interfaces), {
      code: 'usage.invalid',
    });
  });
});
