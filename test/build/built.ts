// The program as `npm run build` makes it, built once for a test file, in a folder of its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Binary, buildBinary } from '../../scripts/build/binary.ts';
import { buildTree, packTree } from '../../scripts/build/package-tree.ts';
import { hostTarget } from '../../scripts/build/targets.ts';

export interface Built extends AsyncDisposable {
  /** An empty folder beside the built files. */
  readonly directory: string;
  /** The program as files. */
  readonly tree: string;
  /** npm's archive of it. */
  readonly archive: string;
  /** Undefined where none can be made for this machine. */
  readonly binary: Binary | undefined;
}

export async function buildAll(): Promise<Built> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-build-'));
  const tree = join(directory, 'postern');
  await buildTree(tree, hostTarget === undefined ? [] : [hostTarget]);
  const archive = packTree(tree, directory);
  const binary =
    hostTarget === undefined ? undefined : await buildBinary(hostTarget, join(directory, 'postern-binary'));
  return {
    ...{ directory, tree, archive, binary },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
