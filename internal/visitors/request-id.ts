// Ids of visitors' requests: one each, made where the request was read. Logs of edge and connector, the origin (`Cf-Ray`) and
// the edge's own answers carry it. Source: docs/headers.md.

import { randomBytes } from 'node:crypto';

/** Carries the id in every answer that the edge makes itself. */
export const requestIdHeader = 'Postern-Request-Id';

const prefix = randomBytes(4).toString('hex');
let count = randomBytes(4).readUInt32BE();

/** 16 hex digits, unique within this process. */
export function nextRequestId(): string {
  count = (count + 1) >>> 0;
  return prefix + count.toString(16).padStart(8, '0');
}
