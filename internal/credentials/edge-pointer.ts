// edge.json in the user's Postern directory: where the edge that runs under this user has its API and its state, so that
// commands on the same machine need no flags. Written by the edge at its start, removed by it at its end.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { foreignCode } from '../errors/error.ts';
import { makePrivateDirectory, readPrivateFile, replacePrivateFile } from './private-file.ts';

const pointerSchema = z.object({
  /** Base of the control-plane API, with /client/v4. */
  apiUrl: z.string(),
  /** Base of the quick-tunnel service. */
  quickServiceUrl: z.string(),
  /** The edge's state directory; its API credential is cert.pem in there. */
  stateDir: z.string(),
  pid: z.int().positive(),
});
export type EdgePointer = z.infer<typeof pointerSchema>;

/** Writes `<directory>/edge.json`; of several edges the last one started is pointed at. */
export function writeEdgePointer(directory: string, pointer: EdgePointer): void {
  makePrivateDirectory(directory);
  replacePrivateFile(join(directory, 'edge.json'), `${JSON.stringify(pointer)}\n`);
}

/** The edge that runs now, or undefined when there is no file, it is damaged, or its process has gone. */
export function readEdgePointer(directory: string): EdgePointer | undefined {
  const text = readPrivateFile(join(directory, 'edge.json'));
  if (text === undefined) return undefined;
  let pointer: EdgePointer;
  try {
    pointer = pointerSchema.parse(JSON.parse(text));
  } catch {
    // Only a hint: a damaged file means what a missing one means, and the next edge writes it anew.
    return undefined;
  }
  return isRunning(pointer.pid) ? pointer : undefined;
}

/** Removes the pointer if it still names this process. */
export function removeEdgePointer(directory: string, pid: number): void {
  if (readEdgePointer(directory)?.pid === pid) rmSync(join(directory, 'edge.json'), { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return foreignCode(error) === 'EPERM';
  }
}
