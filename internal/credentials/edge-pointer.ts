// edge.json: where an edge that runs has its API and its state, so that commands on the same machine need no flags. It lies in
// the user's Postern directory and in the edge's state directory. The first of several edges has it; when that one ends the
// next takes its place.

import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as z from 'zod';
import { foreignCode } from '../errors/error.ts';
import { createPrivateFile, makePrivateDirectory, readPrivateFile, replacePrivateFile } from './private-file.ts';

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

const fileName = 'edge.json';
/** How often an edge without the pointer looks whether the one that has it is gone. */
const takeOverMs = 2_000;
/** A listener of this machine accepts at once. */
const probeTimeoutMs = 1_000;

/** The edge that runs now, or undefined when there is no file, it cannot be read or is damaged, or its process has gone. */
export function readEdgePointer(directory: string): EdgePointer | undefined {
  try {
    const text = readPrivateFile(join(directory, fileName));
    const pointer = text === undefined ? undefined : pointerSchema.parse(JSON.parse(text));
    return pointer !== undefined && isRunning(pointer.pid) ? pointer : undefined;
  } catch {
    // Only a hint: a damaged file, or one of another user, means what a missing one means.
    return undefined;
  }
}

export interface KeptPointer extends Disposable {
  /** The edge that had it first; undefined when this one has it. */
  readonly holder: EdgePointer | undefined;
}

/**
 * Writes `<directory>/edge.json`, unless another edge that runs is named there: then once that one has gone. Removes it at its
 * disposal if it is this edge's. Throws 'file.failed' when the directory cannot be written.
 */
export async function keepEdgePointer(directory: string, pointer: EdgePointer): Promise<KeptPointer> {
  const present = readEdgePointer(directory);
  // The number of a process that died may be another's by now: an edge also listens.
  const holder =
    present !== undefined && !isSame(present, pointer) && (await isListening(present)) ? present : undefined;
  if (holder === undefined) writeEdgePointer(directory, pointer);
  const timer = setInterval(() => {
    if (readEdgePointer(directory) !== undefined) return;
    try {
      if (!createPrivateFile(join(directory, fileName), textOf(pointer))) writeEdgePointer(directory, pointer);
    } catch {
      // A convenience, tried again.
    }
  }, takeOverMs);
  timer.unref();
  return {
    holder,
    [Symbol.dispose]() {
      clearInterval(timer);
      removeEdgePointer(directory, pointer);
    },
  };
}

/** Writes the file whoever is named there. */
export function writeEdgePointer(directory: string, pointer: EdgePointer): void {
  makePrivateDirectory(directory);
  replacePrivateFile(join(directory, fileName), textOf(pointer));
}

function removeEdgePointer(directory: string, pointer: EdgePointer): void {
  const present = readEdgePointer(directory);
  if (present === undefined || !isSame(present, pointer)) return;
  try {
    rmSync(join(directory, fileName), { force: true });
  } catch {
    // It names a process that is gone, which readers notice.
  }
}

function isSame(one: EdgePointer, other: EdgePointer): boolean {
  return one.pid === other.pid && one.apiUrl === other.apiUrl;
}

function textOf(pointer: EdgePointer): string {
  return `${JSON.stringify(pointer)}\n`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return foreignCode(error) === 'EPERM';
  }
}

function isListening({ apiUrl }: EdgePointer): Promise<boolean> {
  const url = URL.parse(apiUrl);
  if (url === null) return Promise.resolve(false);
  const socket = connect({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
  });
  return new Promise(resolve => {
    const settle = (listens: boolean) => (): void => {
      socket.destroy();
      resolve(listens);
    };
    socket.setTimeout(probeTimeoutMs, settle(false));
    socket.once('connect', settle(true)).once('error', settle(false));
  });
}
