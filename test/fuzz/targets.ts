// Everything that is fuzzed. A room that decodes bytes of strangers adds its targets here.

import type { FuzzTarget } from './target.ts';
import { datagramTargets } from './targets/datagrams.ts';
import { headTargets } from './targets/heads.ts';
import { originTargets } from './targets/origins.ts';
import { rpcTargets } from './targets/rpc.ts';

export const targets: readonly FuzzTarget[] = [...rpcTargets, ...headTargets, ...datagramTargets, ...originTargets];
