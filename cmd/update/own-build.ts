// What the build put into this program about updates: scripts/build/plugins.ts writes it into the manifest.

import { isSea } from 'node:sea';
import type { UpdateSource } from '../../internal/update/update-program.ts';
import manifest from '../../package.json' with { type: 'json' };
import type { CommandContext } from '../context.ts';

/** Undefined from the sources, and in a program that was made without a place for releases. */
export const updateSource: UpdateSource | undefined = (manifest as { readonly updates?: UpdateSource }).updates;

/** Path of the single binary that this is; undefined for a program of files, which Node runs. */
export function binaryPath(context: CommandContext): string | undefined {
  return isSea() ? context.program[0] : undefined;
}
