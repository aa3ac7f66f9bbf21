// What a visitor is told when the request did not come through: which hop failed, why, and what its owner can do. A page for
// browsers, JSON for who asks for it, text for all others; each with the id under which logs know the request.

import { STATUS_CODES } from 'node:http';
import { headerValue } from '../net/http/header-list.ts';
import { preferredType } from './preferred-type.ts';
import { requestIdHeader } from './request-id.ts';
import type { VisitorRequest, VisitorResponse } from './visitor.ts';

export type Hop = 'edge' | 'connector' | 'origin';

export type ProblemKind =
  | 'no-route'
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

interface Answer {
  readonly status: number;
  readonly hop: Hop;
  /** What happened, in a sentence. */
  readonly text: string;
  /** What the owner of the failing hop can do, or the visitor where it is the visitor's doing. */
  readonly remedy: string;
}

const answers: Readonly<Record<ProblemKind, Answer>> = {
  'no-route': {
    status: 404,
    hop: 'edge',
    text: 'No tunnel is routed to this host name.',
    remedy: 'Check the spelling. The owner leads a name to a tunnel with: postern tunnel route dns TUNNEL NAME',
  },
  'no-connector': {
    status: 502,
    hop: 'connector',
    text: 'The tunnel for this host name has no connector connected.',
    remedy: 'Start the connector (postern tunnel run), or read in its log why it does not connect.',
  },
  lost: {
    status: 502,
    hop: 'connector',
    text: 'The connector that had the request was lost before it answered. The origin may have acted on it.',
    remedy: "Try again. If this repeats, read in the connector's log why its connections break.",
  },
  connector: {
    status: 502,
    hop: 'connector',
    text: 'The connector ended the request before it answered.',
    remedy: "Try again. If this repeats, look for this request in the connector's log.",
  },
  origin: {
    status: 502,
    hop: 'origin',
    text: 'The connector could not reach the origin service. Its log names the cause.',
    remedy: "Start the service, or correct its address in the connector's rules.",
  },
  edge: {
    status: 500,
    hop: 'edge',
    text: 'The edge failed to forward the request. Its log names the cause.',
    remedy: "Look for this request in the edge's log.",
  },
  'too-large': {
    status: 431,
    hop: 'edge',
    text: 'The headers of the request are too large.',
    remedy: "Send less, such as fewer cookies: deleting this site's cookies often helps.",
  },
  'target-too-long': {
    status: 414,
    hop: 'edge',
    text: 'The path of the request is too long.',
    remedy: 'Use a shorter address; long data belongs in the body of a POST.',
  },
  stalled: {
    status: 408,
    hop: 'edge',
    text: 'The body of the request did not arrive in time.',
    remedy: 'Check the network between you and the edge, and try again.',
  },
  late: {
    status: 504,
    hop: 'origin',
    text: 'The origin service did not answer in time.',
    remedy: 'See what keeps the service busy, or give it longer: edge run --answer-timeout.',
  },
  busy: {
    status: 503,
    hop: 'edge',
    text: 'Too many requests of your address are under way. Try again later.',
    remedy: 'Wait until running requests have ended.',
  },
  'flow-limit': {
    status: 503,
    hop: 'connector',
    text: 'The connector is at its limit of active flows. Try again later.',
    remedy: 'Wait for flows to end, or raise --max-active-flows of the connector.',
  },
};

/** What is known of one failed request, for whoever shows it. All of it may be shown to the visitor. */
export interface ProblemFacts extends Answer {
  readonly kind: ProblemKind;
  /** The words of the status: `Bad Gateway`. */
  readonly title: string;
  readonly host: string;
  readonly requestId: string;
}

/** Shows a failed request to browsers. */
export interface ErrorPage {
  /** Headers beside `Content-Type`. */
  readonly headers: readonly string[];
  /** A whole document; everything in `facts` is escaped. */
  render(facts: ProblemFacts): string;
}

/** Names the failing hop in every answer the edge makes itself: `edge`, `connector` or `origin`. */
export const failedHopHeader = 'Postern-Failed-Hop';

/**
 * Answers with what the visitor's `Accept` prefers of HTML, JSON and text, unless an answer has begun. Without a `page` nobody
 * gets HTML: so floods are answered.
 */
export function answerProblem(
  response: VisitorResponse,
  request: VisitorRequest,
  kind: ProblemKind,
  page?: ErrorPage,
): void {
  const answer = answers[kind];
  const title = STATUS_CODES[answer.status] ?? '';
  const shown = represent({ ...answer, kind, title, host: request.host, requestId: request.id }, request, page);
  const body = Buffer.from(shown.text);
  const headers = [
    ...['Content-Type', shown.type, 'Content-Length', String(body.byteLength), 'Cache-Control', 'no-store'],
    ...['X-Content-Type-Options', 'nosniff', ...shown.headers],
    ...[failedHopHeader, answer.hop, requestIdHeader, request.id, 'Cf-Ray', request.id],
  ];
  const target = response.start(answer.status, headers, { hasBody: request.method !== 'HEAD' });
  target?.write(body);
  target?.end([]);
}

interface Representation {
  readonly type: string;
  readonly text: string;
  readonly headers: readonly string[];
}

const plain = 'text/plain';
const withoutPage = [plain, 'application/json', 'application/problem+json'] as const;
const all = [plain, 'application/json', 'application/problem+json', 'text/html'] as const;

function represent(facts: ProblemFacts, request: VisitorRequest, page: ErrorPage | undefined): Representation {
  const type = preferredType(headerValue(request.headers, 'accept') ?? '', page === undefined ? withoutPage : all);
  if (type === 'text/html' && page !== undefined)
    return { type: 'text/html; charset=utf-8', text: page.render(facts), headers: page.headers };
  if (type === plain || type === 'text/html') {
    const { status, text, remedy, requestId } = facts;
    const lines = `${status} ${text}\n${remedy}\nRequest id: ${requestId}\n`;
    return { type: 'text/plain; charset=utf-8', text: lines, headers: [] };
  }
  return { type, text: `${JSON.stringify(problemDocument(facts))}\n`, headers: [] };
}

/** RFC 9457, with members of our own beside the standard ones. */
function problemDocument(facts: ProblemFacts) {
  const { status, title, text, kind, hop, remedy, requestId } = facts;
  return { status, title, detail: text, code: kind, failedHop: hop, remedy, requestId };
}
