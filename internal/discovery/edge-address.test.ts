import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PosternError } from '../errors/error.ts';
import { createEdgeAddress, formatEdgeAddress, parseEdgeTarget } from './edge-address.ts';

describe('edge address', () => {
  it('counts an IPv4-mapped address as IPv4', () => {
    assert.deepEqual(createEdgeAddress('::ffff:10.0.0.1', 7844), { ip: '10.0.0.1', port: 7844, family: 4 });
    assert.equal(createEdgeAddress('2606:4700::1', 7844).family, 6);
  });

  it('prints IPv6 in brackets', () => {
    assert.equal(formatEdgeAddress(createEdgeAddress('::1', 7844)), '[::1]:7844');
    assert.equal(formatEdgeAddress(createEdgeAddress('10.0.0.1', 1)), '10.0.0.1:1');
  });

  it('reads names, IPv4 and bracketed IPv6', () => {
    assert.deepEqual(parseEdgeTarget('edge.example.com:7844'), { host: 'edge.example.com', port: 7844 });
    assert.deepEqual(parseEdgeTarget(' 10.0.0.1:1 '), { host: '10.0.0.1', port: 1 });
    assert.deepEqual(parseEdgeTarget('[2606:4700::1]:65535'), { host: '2606:4700::1', port: 65_535 });
  });

  for (const wrong of [
    '',
    'edge',
    'edge:',
    ':7844',
    'edge:0',
    'edge:65536',
    '::1:7844',
    '[edge]:7844',
    'a b:1',
    'edge:78x',
    'http://a:1',
  ]) {
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      assert.throws(
        () => parseEdgeTarget(wrong),
        (error: unknown) => error instanceof PosternError && error.code === 'config.invalid',
      );
    });
  }
});
