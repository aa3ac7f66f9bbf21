// DNS-01 by a program of the operator, which knows the provider of the domain: it is run once to set a TXT record and once to take
// it away. Source: RFC 8555 §8.4; docs/https.md has the program's side.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { PosternError } from '../../errors/error.ts';
import type { Solver } from './request-certificate.ts';

const run = promisify(execFile);

/** The program waits until the record can be seen, which takes some providers minutes. */
const presentMs = 120_000;
/** An edge that stops waits for it. */
const cleanupMs = 10_000;
const maxOutputBytes = 64 * 1024;

/**
 * `program` is started without a shell as `PROGRAM present NAME VALUE` and `PROGRAM cleanup NAME VALUE`. It must exit with 0 once the
 * record can be seen. For names of `domain` alone.
 */
export function createHookSolver(program: string, domain: string): Solver {
  return {
    type: 'dns-01',
    canSolve: name => name === domain,
    async present(name, _token, keyAuthorization, signal) {
      const record = `_acme-challenge.${name}`;
      const value = createHash('sha256').update(keyAuthorization).digest('base64url');
      await call(program, ['present', record, value], presentMs, signal);
      return {
        // What is left behind harms nobody, and the certificate is there: the order does not fail by it.
        [Symbol.asyncDispose]: () => call(program, ['cleanup', record, value], cleanupMs).catch(() => undefined),
      };
    },
  };
}

async function call(program: string, args: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<void> {
  try {
    await run(program, [...args], { timeout: timeoutMs, signal, killSignal: 'SIGKILL', maxBuffer: maxOutputBytes });
  } catch (cause) {
    throw new PosternError('certificate.failed', `${program} ${args[0]} failed: ${reasonOf(cause, timeoutMs)}`);
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { code, killed, stderr } = error as { code?: unknown; killed?: unknown; stderr?: unknown };
  const said = typeof stderr === 'string' ? stderr.trim().replace(/\s+/g, ' ').slice(0, 300) : '';
  const how = killed === true ? `it took longer than ${timeoutMs / 1_000} s` : `it ended with ${String(code)}`;
  return said === '' ? how : `${how}: ${said}`;
}
