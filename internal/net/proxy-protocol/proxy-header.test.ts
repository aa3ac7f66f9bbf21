import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyHeader } from './proxy-header.ts';

const ends = {
  transport: 'tcp',
  sourceAddress: '::ffff:192.0.2.1',
  sourcePort: 51_324,
  destinationAddress: '198.51.100.1',
  destinationPort: 443,
} as const;

describe('PROXY protocol header', () => {
  it('writes version 1, mapped IPv4 as IPv4', () => {
    assert.equal(String(proxyHeader('v1', ends)), 'PROXY TCP4 192.0.2.1 198.51.100.1 51324 443\r\n');
  });

  it('writes version 1 of IPv6, and of an IPv4 end beside it', () => {
    const six = { ...ends, sourceAddress: '2001:db8::1%eth0', destinationAddress: '2001:db8::2' };
    assert.equal(String(proxyHeader('v1', six)), 'PROXY TCP6 2001:db8:0:0:0:0:0:1 2001:db8:0:0:0:0:0:2 51324 443\r\n');
    const mixed = { ...six, destinationAddress: '198.51.100.1' };
    assert.match(String(proxyHeader('v1', mixed)), / 0:0:0:0:0:ffff:c633:6401 51324 443\r\n$/);
  });

  it('writes version 2 of TCP and UDP', () => {
    const signature = '0d0a0d0a000d0a515549540a';
    const addresses = 'c0000201c6336401c87c01bb';
    assert.equal(proxyHeader('v2', ends).toString('hex'), `${signature}2111000c${addresses}`);
    assert.equal(proxyHeader('v2', { ...ends, transport: 'udp' }).toString('hex'), `${signature}2112000c${addresses}`);
    const six = { ...ends, sourceAddress: '2001:db8::1', destinationAddress: '2001:db8::2' };
    const header = proxyHeader('v2', six);
    assert.equal(header.length, 16 + 36);
    assert.equal(header.subarray(12, 16).toString('hex'), '21210024');
  });

  it('says that it does not know what is no address', () => {
    const unknown = { ...ends, sourceAddress: '' };
    assert.equal(String(proxyHeader('v1', unknown)), 'PROXY UNKNOWN\r\n');
    assert.equal(proxyHeader('v2', unknown).subarray(12).toString('hex'), '21000000');
  });
});
