// Starts the real program as a user would; it ends with the test.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ChildOptions, type ChildProgram, posternCommand, startChild } from './child-program.ts';

export type Program = ChildProgram;

/** An empty directory that is removed with the test. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-test-'));
  // A program that still ends may write there once more.
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** Runs `postern ARGS` with an environment of its own; it is killed when the test ends. */
export function startProgram(
  t: TestContext,
  args: readonly string[],
  options: ChildOptions & {
    /** Words that run the program somewhere else: `ip netns exec NAME`. */
    readonly prefix?: readonly string[];
  },
): Program {
  const program = startChild([...(options.prefix ?? []), ...posternCommand(), ...args], options);
  t.after(async () => {
    program.child.kill('SIGKILL');
    await program.exited;
  });
  return program;
}
