// What a user must be told to log in for the first time.

import { X509Certificate } from 'node:crypto';
import type { Flag } from '../../internal/config/flag.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { formatSeconds } from '../table.ts';

export const codeTtlFlag = {
  name: 'code-ttl',
  type: 'duration',
  default: '24h',
  valueName: 'TIME',
  description: 'How long the login code may wait for the user, 1m to 168h',
} as const satisfies Flag;

export function loginLines(
  code: { readonly login_code: string; readonly login_code_expires_on: string },
  { apiUrl, caPem }: { readonly apiUrl: string; readonly caPem: string | undefined },
): string {
  const until = formatSeconds(code.login_code_expires_on);
  const pin = caPem === undefined ? '' : ` --ca-pin ${spkiPin(new X509Certificate(caPem))}`;
  return (
    `Login code: ${code.login_code} (good once, until ${until})\n` +
    `The user logs in with: postern tunnel login ${new URL(apiUrl).origin}${pin}\n`
  );
}
