// What a user must be told to log in for the first time.

import type { Flag } from '../../internal/config/flag.ts';
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
  { apiUrl }: { readonly apiUrl: string },
): string {
  const until = formatSeconds(code.login_code_expires_on);
  return `Login code: ${code.login_code} (good once, until ${until})\nThe user logs in with: postern tunnel login ${new URL(apiUrl).origin}\n`;
}
