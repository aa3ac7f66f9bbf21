// What a visitor is told when the request did not come through: which hop failed, in one line a person can act on.

import type { VisitorRequest, VisitorResponse } from './visitor.ts';

export type Problem =
  | { readonly kind: 'no-route'; readonly host: string }
  | {
      readonly kind:
        | 'no-connector'
        | 'lost'
        | 'connector'
        | 'origin'
        | 'flow-limit'
        | 'edge'
        | 'too-large'
        | 'target-too-long'
        | 'stalled'
        | 'late'
        | 'busy';
    };

interface Answer {
  readonly status: number;
  readonly hop: 'edge' | 'connector' | 'origin';
  readonly text: string;
}

const answers: Readonly<Record<Problem['kind'], Answer>> = {
  'no-route': { status: 404, hop: 'edge', text: 'No tunnel is routed to this host name.' },
  'no-connector': { status: 502, hop: 'connector', text: 'The tunnel for this host name has no connector connected.' },
  lost: {
    status: 502,
    hop: 'connector',
    text: 'The connector that had the request was lost before it answered. The origin may have acted on it.',
  },
  connector: { status: 502, hop: 'connector', text: 'The connector ended the request before it answered.' },
  origin: {
    status: 502,
    hop: 'origin',
    text: 'The connector could not reach the origin service. Its log names the cause.',
  },
  edge: { status: 500, hop: 'edge', text: 'The edge failed to forward the request. Its log names the cause.' },
  'too-large': { status: 431, hop: 'edge', text: 'The headers of the request are too large.' },
  'target-too-long': { status: 414, hop: 'edge', text: 'The path of the request is too long.' },
  stalled: { status: 408, hop: 'edge', text: 'The body of the request did not arrive in time.' },
  late: { status: 504, hop: 'origin', text: 'The origin service did not answer in time.' },
  busy: { status: 503, hop: 'edge', text: 'Too many requests of your address are under way. Try again later.' },
  'flow-limit': {
    status: 503,
    hop: 'connector',
    text: 'The connector is at its limit of active flows. Try again later.',
  },
};

/** Names the failing hop in every answer the edge makes itself: `edge`, `connector` or `origin`. */
export const failedHopHeader = 'Postern-Failed-Hop';

/** Answers with a short plain text, unless an answer has begun. */
export function answerProblem(response: VisitorResponse, request: VisitorRequest, problem: Problem): void {
  const { status, hop, text } = answers[problem.kind];
  const body = Buffer.from(`${status} ${text}\n`);
  const headers = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(body.byteLength),
    'Cache-Control',
    'no-store',
    failedHopHeader,
    hop,
  ];
  const target = response.start(status, headers, { hasBody: request.method !== 'HEAD' });
  target?.write(body);
  target?.end([]);
}
