// The edge of this machine that commands talk to when nothing else is named: that of POSTERN_STATE_DIR, else the one that runs
// under this user.

import { join } from 'node:path';
import { type EdgePointer, readEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

/** Where an edge keeps its state unless it is told otherwise. */
export const defaultStateDir = '~/.postern/edge';

export interface LocalEdge {
  /** POSTERN_STATE_DIR: no other edge is meant. */
  readonly namedStateDir: string | undefined;
  /** Undefined when that edge does not run. */
  readonly running: EdgePointer | undefined;
  /** Where an API credential may lie. */
  readonly stateDirs: readonly string[];
}

export function findLocalEdge(context: CommandContext): LocalEdge {
  const { POSTERN_STATE_DIR: named } = context.env;
  if (named !== undefined && named !== '') {
    const namedStateDir = resolvePath(named, context);
    return { namedStateDir, running: readEdgePointer(namedStateDir), stateDirs: [namedStateDir] };
  }
  const usual = resolvePath(defaultStateDir, context);
  const running = readEdgePointer(join(context.homeDir, '.postern')) ?? readEdgePointer(usual);
  const stateDirs = running === undefined ? [usual] : [...new Set([running.stateDir, usual])];
  return { namedStateDir: undefined, running, stateDirs };
}
