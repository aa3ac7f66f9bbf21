// Addresses as destinations in private networks, for tests that write them as texts.

import assert from 'node:assert/strict';
import { type AddressHost, parsePrivateHost } from '../../internal/private-network/routes/private-host.ts';

export function addressHost(text: string): AddressHost {
  const host = parsePrivateHost(text);
  return host?.kind === 'address' ? host : assert.fail(`${text} is no address`);
}
