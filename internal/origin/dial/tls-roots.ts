// The certificates an HTTPS origin is verified against: Node's and the operating system's roots plus the rule's caPool.
// Source: docs/protocol/ingress-and-origin.md §4 (last paragraph).

import { createSecureContext, type SecureContext } from 'node:tls';
import { PosternError } from '../../errors/error.ts';
import { maxPemBytes, readText } from '../../net/file/read-text.ts';
import { systemRoots } from '../../net/trust/system-roots.ts';

/** Reads a PEM file of extra roots. Throws 'config.invalid' when it cannot be read. */
export async function readCaPool(path: string): Promise<string> {
  try {
    return await readText(path, maxPemBytes);
  } catch (cause) {
    throw new PosternError('config.invalid', `unable to read the file ${path} for --origin-ca-pool`, { cause });
  }
}

/** A TLS context for origins; without verification no roots are loaded. */
export function createOriginContext(verify: boolean, caPool: string | undefined): SecureContext {
  // Without a list OpenSSL reads all of Node's own.
  if (!verify) return createSecureContext({ ca: [] });
  const own = caPool?.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return createSecureContext({ ca: [...systemRoots(), ...own] });
}
