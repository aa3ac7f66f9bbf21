// Prometheus's own tool, which parses what we expose and what we ask: out of its Debian package, which is unpacked and not
// installed, because it would start a server.

import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { unpackTool } from './unpacked-package.ts';

/** Path of the tool. Undefined when it is not here and cannot be had: the test is skipped then, saying so. */
export async function findPromtool(t: TestContext): Promise<string | undefined> {
  try {
    return await unpackTool('prometheus', 'promtool');
  } catch {
    t.skip('promtool is not here and could not be had (Debian: package prometheus)');
    return undefined;
  }
}

/** Runs the tool with `input` as its standard input; gives its exit code and all that it said. */
export async function runPromtool(tool: string, args: readonly string[], input = '') {
  const child = spawn(tool, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000 });
  let text = '';
  const add = (piece: Buffer): void => {
    text += piece.toString();
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  child.stdin.on('error', () => undefined).end(input);
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { code, text };
}
