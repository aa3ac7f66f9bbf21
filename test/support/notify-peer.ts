// A service manager's notification socket, bound by Python because Node has no datagram sockets of this kind.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { repository } from './child-program.ts';
import { until } from './wait.ts';

export interface NotifyPeer {
  /** Datagrams so far, in order. */
  readonly datagrams: readonly string[];
  /** Settles with the first datagram that matches, also an earlier one. */
  received(pattern: RegExp): Promise<string>;
}

/** Binds `name`, a path or `@` and an abstract name; the socket is closed with the test. */
export async function openNotifyPeer(t: TestContext, name: string): Promise<NotifyPeer> {
  const child = spawn('python3', [join(repository, 'test/support/notify-peer.py'), name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const datagrams: string[] = [];
  let bound = false;
  createInterface({ input: child.stdout }).on('line', line => {
    if (bound) datagrams.push(JSON.parse(line) as string);
    bound = true;
  });
  await until('the notification socket', () => bound);
  const received = async (pattern: RegExp): Promise<string> => {
    const find = () => datagrams.find(datagram => pattern.test(datagram));
    await until(`a notification ${pattern}`, () => find() !== undefined).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}; there are ${JSON.stringify(datagrams)}`);
    });
    return find() ?? '';
  };
  return { datagrams, received };
}
