// Limits on public traffic, from visitor to origin: heads, visitors, connectors.

import { pushTimeoutMs } from '../../internal/carriers/configuration-sender.ts';
import { maxWaiting as waitingRequests } from '../../internal/carriers/connector-registry.ts';
import { defaultConnectionsPerTunnel, unregisteredLimits } from '../../internal/carriers/serve-connector.ts';
import { maxNames, wildcardLimits } from '../../internal/certificates/name-certificates.ts';
import { sentHeaderBytes } from '../../internal/net/http2/sizes.ts';
import { maxGatheredBytes } from '../../internal/origin/http/gather-body.ts';
import { maxPools } from '../../internal/origin/http/http.ts';
import { defaultHeadTimeoutMs } from '../../internal/origin/http/http1-connection.ts';
import { maxSessions } from '../../internal/origin/http/http2.ts';
import { maxHeadBytes as answerHeadBytes, maxInterimHeads } from '../../internal/origin/message/response-parser.ts';
import { defaultTuning } from '../../internal/quic/settings.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import { handshakeLimits as tlsHandshakes } from '../../internal/transport/http2/listen.ts';
import { maxStreams, receivedHeaderBytes } from '../../internal/transport/http2/settings.ts';
import { defaultAnswerTimeoutMs, defaultReturnWaitMs } from '../../internal/visitors/forward.ts';
import { resetLimits } from '../../internal/visitors/http2-floods.ts';
import {
  maxForwardedBytes,
  maxHeaderBytes,
  maxHeaders,
  maxTargetBytes,
  maxValueBytes,
  visitorTimeouts,
} from '../../internal/visitors/limits.ts';
import { visitorLimits } from '../../internal/visitors/places.ts';
import { maxTrailerBytes } from '../../internal/wire/stream/body-frames.ts';
import { bytes, count, flag, places, type Row, rate, source } from './limit-row.ts';

const http2Settings = 'transport/http2/settings.ts';
const visitors = 'visitors/limits.ts';
export const requestHeads: readonly Row[] = [
  ['path with query', bytes(maxTargetBytes), '414 from the edge', source('maxTargetBytes', visitors)],
  ['one field', bytes(maxValueBytes), '431 from the edge', source('maxValueBytes', visitors)],
  ['all of a head', bytes(maxForwardedBytes), '431 from the edge', source('maxForwardedBytes', visitors)],
  ['fields of a head', count(maxHeaders), '431 from the edge', source('maxHeaders', visitors)],
  [
    'what is read of a head before it is refused',
    bytes(maxHeaderBytes),
    '431 from the edge, and the connection ends',
    source('maxHeaderBytes', visitors),
  ],
  [
    'a head from an edge of another make, over HTTP/2',
    `${bytes(receivedHeaderBytes)}, announced as \`SETTINGS_MAX_HEADER_LIST_SIZE\``,
    'an edge that heeds it refuses the request; else that stream is reset',
    source('receivedHeaderBytes', http2Settings),
  ],
];

export const answerHeads: readonly Row[] = [
  [
    'origin to connector',
    bytes(answerHeadBytes),
    '502, hop `response` in the connector’s log',
    source('maxHeadBytes', 'origin/message/response-parser.ts'),
  ],
  [
    'connector to edge over QUIC',
    bytes(answerHeadBytes),
    '502',
    source('maxHeadBytes', 'origin/message/response-parser.ts'),
  ],
  [
    'connector to our edge over HTTP/2',
    `some 48 KiB: the fields travel as base64 in one field, and the head may have ${bytes(receivedHeaderBytes)}`,
    '502; the log names size and limit',
    source('receivedHeaderBytes', http2Settings),
  ],
  [
    'connector to another edge over HTTP/2',
    `what that edge announces, at most ${bytes(sentHeaderBytes)}`,
    '502; the log names size and limit',
    source('sentHeaderBytes', 'net/http2/sizes.ts'),
  ],
  ['edge to a visitor over HTTP/2', 'what the visitor announces', '502', 'the visitor'],
  [
    'trailers over QUIC',
    bytes(maxTrailerBytes),
    'the answer ends without trailers',
    source('maxTrailerBytes', 'wire/stream/body-frames.ts'),
  ],
];

export const visitorRows: readonly Row[] = [
  [
    'connections of visitors',
    places(visitorLimits.connections),
    'one without a request gives way; without such a one the new connection is closed',
    source('visitorLimits', 'visitors/places.ts'),
  ],
  ['requests under way at once', places(visitorLimits.requests), '503', source('visitorLimits', 'visitors/places.ts')],
  [
    'requests of a tunnel that wait for its connector to come back',
    count(waitingRequests),
    '502 at once',
    source('maxWaiting', 'carriers/connector-registry.ts'),
  ],
  [
    'how long they wait',
    formatDuration(defaultReturnWaitMs),
    '502',
    source('defaultReturnWaitMs', 'visitors/forward.ts'),
  ],
  ['time for an origin to begin its answer', formatDuration(defaultAnswerTimeoutMs), '504', flag('answer-timeout')],
  [
    'time for a head, and for a TLS handshake',
    formatDuration(visitorTimeouts.headersMs),
    'the connection is closed',
    source('visitorTimeouts', visitors),
  ],
  [
    'silence in a body of known length',
    formatDuration(visitorTimeouts.stallMs),
    '408',
    source('visitorTimeouts', visitors),
  ],
  [
    'silence in a body of unknown length',
    formatDuration(visitorTimeouts.streamStallMs),
    '408',
    source('visitorTimeouts', visitors),
  ],
  [
    'a visitor who takes nothing of an answer',
    formatDuration(visitorTimeouts.stallMs),
    'the connection, or the HTTP/2 stream, is cut',
    source('visitorTimeouts', visitors),
  ],
  [
    'a connection without a request',
    formatDuration(visitorTimeouts.keepAliveMs),
    'it is closed',
    source('visitorTimeouts', visitors),
  ],
  [
    'HTTP/2 streams that a visitor resets, for each connection',
    rate(resetLimits),
    'the connection is closed; after several, that address gets HTTP/1.1 only for a while',
    source('resetLimits', 'visitors/http2-floods.ts'),
  ],
  [
    'certificates made for names under a wildcard route',
    rate(wildcardLimits),
    'the handshake gets the edge’s own certificate',
    source('wildcardLimits', 'certificates/name-certificates.ts'),
  ],
  [
    'certificates of names kept, for each kind of route',
    count(maxNames),
    'the one asked for longest ago is made again when asked for',
    source('maxNames', 'certificates/name-certificates.ts'),
  ],
];

export const connectorRows: readonly Row[] = [
  [
    'connections of one tunnel',
    count(defaultConnectionsPerTunnel),
    'the registration is refused; the connector tries again later',
    source('defaultConnectionsPerTunnel', 'carriers/serve-connector.ts'),
  ],
  [
    'connections that have not registered yet',
    places(unregisteredLimits),
    'the new one is closed',
    source('unregisteredLimits', 'carriers/serve-connector.ts'),
  ],
  [
    'TLS handshakes of connectors over HTTP/2',
    places(tlsHandshakes),
    'the new one is closed',
    source('handshakeLimits', 'transport/http2/listen.ts'),
  ],
  [
    'QUIC connections',
    `${count(defaultTuning.maxConnections)}; ${count(defaultTuning.maxConnectionsPerAddress)} of one address`,
    'the new one is refused',
    source('defaultTuning', 'quic/settings.ts'),
  ],
  [
    'requests at once on one connection over HTTP/2',
    count(maxStreams),
    'another connection is taken',
    source('maxStreams', http2Settings),
  ],
  [
    'requests at once on one connection over QUIC',
    count(defaultTuning.maxStreams),
    'further ones wait for others to end',
    source('defaultTuning', 'quic/settings.ts'),
  ],
  [
    'from the first byte of an HTTP/1.1 head of an answer to its last',
    formatDuration(defaultHeadTimeoutMs),
    '502, hop `response` in the connector’s log',
    source('defaultHeadTimeoutMs', 'origin/http/http1-connection.ts'),
  ],
  [
    'interim answers (1xx) before the answer',
    count(maxInterimHeads),
    '502',
    source('maxInterimHeads', 'origin/message/response-parser.ts'),
  ],
  [
    'body gathered for `disableChunkedEncoding`',
    bytes(maxGatheredBytes),
    '413 with the reason; bodies that announce their length have no limit',
    source('maxGatheredBytes', 'origin/http/gather-body.ts'),
  ],
  [
    'names in TLS for one origin with `matchSNItoHost`',
    count(maxPools),
    'the pool unused for longest is closed',
    source('maxPools', 'origin/http/http.ts'),
  ],
  [
    'HTTP/2 sessions with one origin',
    count(maxSessions),
    'requests wait in them',
    source('maxSessions', 'origin/http/http2.ts'),
  ],
  [
    'time for a connector to take a configuration',
    formatDuration(pushTimeoutMs),
    'the edge’s log says so; the next change is pushed again',
    source('pushTimeoutMs', 'carriers/configuration-sender.ts'),
  ],
];
