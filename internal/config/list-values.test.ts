import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatPrefix } from '../net/address/prefix.ts';
import { parseAllowedDestinations, parsedBy, parseResolverAddresses, parseTags } from './list-values.ts';

describe('list flags', () => {
  it('read resolvers, at most ten', () => {
    assert.deepEqual(parseResolverAddresses(['10.0.0.53:5353'])[0]?.port, 5353);
    for (const wrong of ['dns.example:53', '10.0.0.1', '[10.0.0.1]:53', '10.0.0.1:0'])
      assert.throws(() => parseResolverAddresses([wrong]), { code: 'usage.invalid', message: /must be IP:PORT/ });
    const eleven = Array.from({ length: 11 }, () => '1.1.1.1:53');
    assert.throws(() => parseResolverAddresses(eleven), { code: 'usage.invalid', message: /at most 10/ });
  });

  it('read destinations as addresses or CIDR blocks', () => {
    assert.deepEqual(parseAllowedDestinations(['127.0.0.0/8', '::1']).map(formatPrefix), ['127.0.0.0/8', '::1/128']);
    for (const wrong of ['localhost', '127.0.0.1/33', '127.0.0.1/8', ''])
      assert.throws(() => parseAllowedDestinations([wrong]), { code: 'usage.invalid', message: /CIDR block/ });
  });

  it('read tags, values with `=` included', () => {
    assert.deepEqual(parseTags(['a=b', 'c=d=e', 'a=z']), { a: 'z', c: 'd=e' });
    for (const wrong of ['x', '=y', 'a b=c', 'a=', 'a=\u0000'])
      assert.throws(() => parseTags([wrong]), { code: 'usage.invalid', message: /Write KEY=VALUE/ });
  });

  it('are checked by what parses them', () => {
    assert.equal(parsedBy(parseTags)(['a=b']), undefined);
    assert.equal(parsedBy(parseTags)(['x']), 'Cannot parse tag value x. Write KEY=VALUE');
  });
});
