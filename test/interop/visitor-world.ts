// What visitors of other makes are tried on: the visited origin behind a real edge and connector.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type EdgeWorld, openWorld } from '../support/edge-world.ts';
import { temporaryDirectory } from '../support/program.ts';
import { openVisitedOrigin } from './visited-origin.ts';

export const visitorName = 'app.example.test';

export interface VisitorWorld {
  readonly world: EdgeWorld;
  readonly directory: string;
  /** File of the edge's CA. */
  readonly caFile: string;
}

export async function openVisitorWorld(t: TestContext, protocol: 'http2' | 'quic'): Promise<VisitorWorld> {
  const { world } = await openWorld(t, await openVisitedOrigin(t), { protocol, tunnel: { haConnections: 2 } });
  const directory = await temporaryDirectory(t);
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, world.edge.caPem);
  return { world, directory, caFile };
}
