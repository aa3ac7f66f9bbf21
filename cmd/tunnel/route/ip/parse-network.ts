// The CIDR argument of the route commands: host bits are cleared, as users of Go's parser are used to (10.1.2.3/16 means
// 10.1.0.0/16). Source: docs/protocol/commands-and-api.md §5.5.

import { PosternError } from '../../../../internal/errors/error.ts';
import { parseIp } from '../../../../internal/net/address/ip.ts';
import { formatPrefix, maskAddress } from '../../../../internal/net/address/prefix.ts';

/** Canonical CIDR text. Throws 'usage.invalid'. */
export function parseNetwork(text: string): string {
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bytes = parseIp(address);
  const bits = Number(length);
  if (bytes === undefined || length === '' || bits > bytes.byteLength * 8) {
    throw new PosternError(
      'usage.invalid',
      `Invalid network CIDR ${JSON.stringify(text)}: write it like 10.0.0.0/8, one address like 192.0.2.7/32`,
    );
  }
  return formatPrefix({ bytes: maskAddress(bytes, bits), bits });
}
