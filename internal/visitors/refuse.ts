// Answers to requests that are turned away before anybody asks where they should go.

import { failedHopHeader } from './problem.ts';
import { nextRequestId, requestIdHeader } from './request-id.ts';
import type { VisitorResponse } from './visitor.ts';

const texts = {
  400: '400 The request is malformed, or names no valid host or path.\n',
  408: '408 The request did not arrive in time.\n',
  431: '431 The request has too many header fields.\n',
} as const;

/** Answers and ends the connection: what follows on it may be read differently than it was meant. */
export function refuseRequest(response: VisitorResponse, status: keyof typeof texts): void {
  const body = Buffer.from(texts[status]);
  const id = nextRequestId();
  const headers = [
    ...['Content-Type', 'text/plain', 'Content-Length', String(body.length)],
    ...[failedHopHeader, 'edge', requestIdHeader, id],
  ];
  response.closeAfter();
  const target = response.start(status, headers, { hasBody: true });
  target?.write(body);
  target?.end([]);
}
