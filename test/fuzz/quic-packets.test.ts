// A bounded run of the packet fuzz in the suite: the engine must outlive what it gets. A longer one: see quic-packets.ts.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';

const rounds = Number(process.env.FUZZ_ROUNDS ?? (process.env.CI === 'true' ? 60 : 10));
const seed = Number(process.env.FUZZ_SEED ?? Date.now() & 0x3fff_ffff);

it(`the QUIC engine serves on after ${rounds} rounds of broken packets, with FUZZ_SEED=${seed}`, async context => {
  // A process of its own: a crash of native code must show as a failed test, not as a runner that is gone.
  const program = join(import.meta.dirname, 'quic-packets.ts');
  const args = ['--disable-warning=ExperimentalWarning', program, String(rounds), String(seed)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 240_000 });
  context.diagnostic(stdout.trim());
  const counts = JSON.parse(/: (\{.*?\});/.exec(stdout)?.[1] ?? '{}') as Record<string, number>;
  assert.equal(counts.connections, rounds);
  assert.ok((counts.initials ?? 0) > 0 && (counts.broken ?? 0) > 0, 'some packets were crafted and some were broken');
});
