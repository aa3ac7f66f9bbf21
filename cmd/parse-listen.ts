// Addresses to listen on, as flags give them.

import { PosternError } from '../internal/errors/error.ts';
import { type HostPort, parseListenAddress } from '../internal/net/address/host-port.ts';

/** `host:port`, `[v6]:port` or `:port`, port 0 for any. `flag` is the flag's name, for the message. Throws 'usage.invalid'. */
export function parseListen(text: string, flag: string): HostPort {
  const address = parseListenAddress(text);
  if (address === undefined) {
    throw new PosternError(
      'usage.invalid',
      `--${flag} must be HOST:PORT, such as localhost:20241, not ${JSON.stringify(text)}`,
    );
  }
  return address;
}
