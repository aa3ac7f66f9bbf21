import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalName } from './canonical-name.ts';

describe('canonical header names', () => {
  it('begin each word with a capital, whatever case they came in', () => {
    const cases = [
      ['soapaction', 'Soapaction'],
      ['SOAPAction', 'Soapaction'],
      ['x-forwarded-for', 'X-Forwarded-For'],
      ['www-authenticate', 'Www-Authenticate'],
      ['sec-websocket-key', 'Sec-WebSocket-Key'],
      ['X--odd-', 'X--Odd-'],
      ["x-!#$%&'*+.^_`|~9a", "X-!#$%&'*+.^_`|~9a"],
    ] as const;
    for (const [name, expected] of cases) {
      assert.equal(canonicalName(name), expected);
      assert.equal(canonicalName(name), expected, 'also when remembered');
    }
  });
});
