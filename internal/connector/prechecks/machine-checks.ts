// Checks of this machine that need no edge: the room that the kernel grants to bursts of UDP.

import { lowLimitWarning } from '../../net/linux/receive-buffer.ts';
import type { Check } from './report.ts';

/** Never rejects. `path` is the file of the limit. */
export async function checkReceiveBuffers(path?: string): Promise<Check> {
  const warning = await lowLimitWarning(path);
  const check = { component: 'UDP Buffers', target: 'net.core.rmem_max', isHard: false } as const;
  if (warning === undefined) return { ...check, status: 'pass', details: 'large enough, or not limited here' };
  const [details = '', remedy] = warning.split('. ');
  return { ...check, status: 'fail', details, remedy };
}
