// The generated tables of docs/limits.md. Values come from the constants that the program itself uses.

import { maxBytes as logFileBytes } from '../../cmd/log-file.ts';
import { pushTimeoutMs } from '../../internal/carriers/configuration-sender.ts';
import { maxWaiting as waitingRequests } from '../../internal/carriers/connector-registry.ts';
import { defaultConnectionsPerTunnel, unregisteredLimits } from '../../internal/carriers/serve-connector.ts';
import { maxNames, wildcardLimits } from '../../internal/certificates/name-certificates.ts';
import { maxFileBytes as configFileBytes } from '../../internal/config/config-file.ts';
import { maxConnections as apiConnections } from '../../internal/control-plane/api-listener.ts';
import { callLimits, refusalLimits as wrongTokens } from '../../internal/control-plane/control-plane.ts';
import { maxBodyBytes } from '../../internal/control-plane/request-body.ts';
import { maxFileBytes as credentialsFileBytes } from '../../internal/credentials/private-file.ts';
import { maxTokenLength } from '../../internal/credentials/tunnel-token.ts';
import {
  maxPerAddress,
  maxPerNetwork,
  maxTunnels,
  networkRequestLimits,
  requestLimits,
} from '../../internal/features/quick-tunnels/quick-tunnels.ts';
import type { AddressLimits } from '../../internal/net/limits/address-limiter.ts';
import type { RateLimits } from '../../internal/net/limits/rate-limiter.ts';
import { refusalLimits as wrongCredentials } from '../../internal/on-ramps/admission.ts';
import { maxClients, maxOverTcp, maxWaiting as waitingQueries } from '../../internal/on-ramps/dns/forwarder.ts';
import { limits as echoLimits } from '../../internal/on-ramps/echo/echo-service.ts';
import { idleMs as httpProxyIdleMs } from '../../internal/on-ramps/http-proxy/forward-request.ts';
import { handshakeLimits, maxConnections as onRampConnections } from '../../internal/on-ramps/listener.ts';
import { associationLimits } from '../../internal/on-ramps/socks/server.ts';
import { idleMs as associationIdleMs, maxFlows } from '../../internal/on-ramps/socks/udp-association.ts';
import { maxGatheredBytes } from '../../internal/origin/gather-body.ts';
import { maxPools } from '../../internal/origin/http.ts';
import { maxSessions } from '../../internal/origin/http2.ts';
import { maxHeadBytes as answerHeadBytes } from '../../internal/origin/response-parser.ts';
import { defaultFlowLimits } from '../../internal/private-network/flows/flow-tracker.ts';
import { maxCached, maxLookups } from '../../internal/private-network/names/name-resolver.ts';
import { defaultTuning } from '../../internal/quic/settings.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import { keepDeletedMs } from '../../internal/store/sqlite/sqlite-store.ts';
import { handshakeLimits as tlsHandshakes } from '../../internal/transport/http2/listen.ts';
import { maxStreams, receivedHeaderBytes, sentHeaderBytes } from '../../internal/transport/http2/settings.ts';
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
import { maxTrailerBytes } from '../../internal/wire/body-frames.ts';
import { maxRequestBytes } from '../../internal/wire/configuration-request.ts';
import { defaultIdleMs, ipPacketLimit, udpPayloadLimit } from '../../internal/wire/datagram-problem.ts';
import { table } from './markdown.ts';

type Row = readonly [what: string, value: string, beyond: string, where: string];

/** `constant` of a file below internal/ (or cmd/), as a link; a test finds the constant there. */
function source(constant: string, file: string): string {
  const path = file.startsWith('cmd/') ? file : `internal/${file}`;
  return `\`${constant}\`, [${file}](../${path})`;
}

function flag(name: string): string {
  return `\`--${name}\``;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `32 KiB`; what is no whole number of them is shown in bytes. */
function bytes(value: number): string {
  for (const [unit, size] of [
    ['GiB', 1 << 30],
    ['MiB', 1 << 20],
    ['KiB', 1 << 10],
  ] as const) {
    if (value >= size && value % size === 0) return `${count(value / size)} ${unit}`;
  }
  return `${count(value)} bytes`;
}

function days(ms: number): string {
  return `${count(ms / 86_400_000)} days`;
}

function places(limits: AddressLimits): string {
  return `${count(limits.total)}; ${count(limits.perAddress)} of one address`;
}

function rate({ burst, perSecond }: RateLimits): string {
  const steady = perSecond >= 1 ? `${count(perSecond)} a second` : `one in ${count(Math.round(1 / perSecond))} s`;
  return `${count(burst)} at once, then ${steady}`;
}

const http2Settings = 'transport/http2/settings.ts';
const visitors = 'visitors/limits.ts';
const quickTunnels = 'features/quick-tunnels/quick-tunnels.ts';

const requestHeads: readonly Row[] = [
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

const answerHeads: readonly Row[] = [
  [
    'origin to connector',
    bytes(answerHeadBytes),
    '502, hop `response` in the connector’s log',
    source('maxHeadBytes', 'origin/response-parser.ts'),
  ],
  ['connector to edge over QUIC', bytes(answerHeadBytes), '502', source('maxHeadBytes', 'origin/response-parser.ts')],
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
    source('sentHeaderBytes', http2Settings),
  ],
  ['edge to a visitor over HTTP/2', 'what the visitor announces', '502', 'the visitor'],
  [
    'trailers over QUIC',
    bytes(maxTrailerBytes),
    'the answer ends without trailers',
    source('maxTrailerBytes', 'wire/body-frames.ts'),
  ],
];

const visitorRows: readonly Row[] = [
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

const connectorRows: readonly Row[] = [
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
    'body gathered for `disableChunkedEncoding`',
    bytes(maxGatheredBytes),
    '413; bodies that announce their length have no limit',
    source('maxGatheredBytes', 'origin/gather-body.ts'),
  ],
  [
    'names in TLS for one origin with `matchSNItoHost`',
    count(maxPools),
    'the pool unused for longest is closed',
    source('maxPools', 'origin/http.ts'),
  ],
  [
    'HTTP/2 sessions with one origin',
    count(maxSessions),
    'requests wait in them',
    source('maxSessions', 'origin/http2.ts'),
  ],
  [
    'time for a connector to take a configuration',
    formatDuration(pushTimeoutMs),
    'the edge’s log says so; the next change is pushed again',
    source('pushTimeoutMs', 'carriers/configuration-sender.ts'),
  ],
];

const privateRows: readonly Row[] = [
  [
    'payload of a UDP datagram',
    bytes(udpPayloadLimit),
    'the datagram is dropped and counted',
    source('udpPayloadLimit', 'wire/datagram-problem.ts'),
  ],
  [
    'IP packet of a ping',
    bytes(ipPacketLimit),
    'the packet is dropped and counted',
    source('ipPacketLimit', 'wire/datagram-problem.ts'),
  ],
  [
    'flows at once',
    `${count(defaultFlowLimits.total)}; ${count(defaultFlowLimits.perAccount)} of one account; ${count(defaultFlowLimits.perSource)} of one address`,
    'the new one is refused and counted',
    source('defaultFlowLimits', 'private-network/flows/flow-tracker.ts'),
  ],
  ['flows at once at one connector', 'no limit', 'the new one is refused', flag('max-active-flows')],
  [
    'silence of a UDP session',
    formatDuration(defaultIdleMs),
    'the session ends',
    source('defaultIdleMs', 'wire/datagram-problem.ts'),
  ],
  [
    'connections of one listener (SOCKS, HTTP proxy)',
    count(onRampConnections),
    'the new one is closed',
    source('maxConnections', 'on-ramps/listener.ts'),
  ],
  [
    'of them, not admitted yet',
    places(handshakeLimits),
    'the new one is closed',
    source('handshakeLimits', 'on-ramps/listener.ts'),
  ],
  [
    'wrong credentials of one address',
    rate(wrongCredentials),
    'every try of that address is refused',
    source('refusalLimits', 'on-ramps/admission.ts'),
  ],
  [
    'UDP associations of SOCKS',
    `${count(associationLimits.total)}; ${count(associationLimits.perAccount)} of one account; ${count(associationLimits.perAddress)} of one address`,
    'the new one is refused and counted',
    source('associationLimits', 'on-ramps/socks/server.ts'),
  ],
  [
    'destinations of one association',
    count(maxFlows),
    'datagrams to more are dropped and counted',
    source('maxFlows', 'on-ramps/socks/udp-association.ts'),
  ],
  [
    'silence of an association’s destination',
    formatDuration(associationIdleMs),
    'its flow ends',
    source('idleMs', 'on-ramps/socks/udp-association.ts'),
  ],
  [
    'silence of a request through the HTTP proxy',
    formatDuration(httpProxyIdleMs),
    'the request is cut',
    source('idleMs', 'on-ramps/http-proxy/forward-request.ts'),
  ],
  [
    'clients of a DNS listener at once',
    count(maxClients),
    'the new one takes the place of that idle longest',
    source('maxClients', 'on-ramps/dns/forwarder.ts'),
  ],
  [
    'DNS queries that wait for an answer',
    `${count(waitingQueries)}; ${count(maxOverTcp)} of them over TCP`,
    'SERVFAIL',
    source('maxWaiting', 'on-ramps/dns/forwarder.ts'),
  ],
  [
    'names being looked up with one resolver',
    count(maxLookups),
    'the look-up is refused, and the flow with it',
    source('maxLookups', 'private-network/names/name-resolver.ts'),
  ],
  [
    'names remembered',
    count(maxCached),
    'the oldest is asked for again',
    source('maxCached', 'private-network/names/name-resolver.ts'),
  ],
  [
    'series of pings',
    `${count(echoLimits.total)}; ${count(echoLimits.perAccount)} of one account`,
    'the new one is refused',
    source('limits', 'on-ramps/echo/echo-service.ts'),
  ],
];

const controlRows: readonly Row[] = [
  [
    'API calls of one address',
    rate(callLimits),
    '429, `api.rate-limited`',
    source('callLimits', 'control-plane/control-plane.ts'),
  ],
  [
    'wrong API tokens of one address',
    rate(wrongTokens),
    '429, `api.rate-limited`',
    source('refusalLimits', 'control-plane/control-plane.ts'),
  ],
  [
    'connections to the API',
    count(apiConnections),
    'the new one is closed',
    source('maxConnections', 'control-plane/api-listener.ts'),
  ],
  [
    'body of an API call',
    bytes(maxBodyBytes),
    '`api.invalid`',
    source('maxBodyBytes', 'control-plane/request-body.ts'),
  ],
  ['quick tunnels', count(maxTunnels), '429', source('maxTunnels', quickTunnels)],
  ['quick tunnels of one address', count(maxPerAddress), '429', source('maxPerAddress', quickTunnels)],
  [
    'quick tunnels of one network (IPv4 /24, IPv6 /48)',
    count(maxPerNetwork),
    '429',
    source('maxPerNetwork', quickTunnels),
  ],
  ['requests for quick tunnels, one address', rate(requestLimits), '429', source('requestLimits', quickTunnels)],
  [
    'requests for quick tunnels, one network',
    rate(networkRequestLimits),
    '429',
    source('networkRequestLimits', quickTunnels),
  ],
  [
    'how long deleted tunnels, routes and networks can be listed',
    days(keepDeletedMs),
    'the next start of the edge forgets them',
    source('keepDeletedMs', 'store/sqlite/sqlite-store.ts'),
  ],
];

const fileRows: readonly Row[] = [
  ['config file', bytes(configFileBytes), '`config.invalid`', source('maxFileBytes', 'config/config-file.ts')],
  [
    'configuration pushed by an edge, over HTTP/2',
    bytes(maxRequestBytes),
    'it is refused; the one before stays',
    source('maxRequestBytes', 'wire/configuration-request.ts'),
  ],
  [
    'credentials file, token file',
    bytes(credentialsFileBytes),
    '`credentials.invalid`',
    source('maxFileBytes', 'credentials/private-file.ts'),
  ],
  [
    'token',
    `${count(maxTokenLength)} characters`,
    '`credentials.invalid`',
    source('maxTokenLength', 'credentials/tunnel-token.ts'),
  ],
  [
    'log file of `--log-directory`',
    bytes(logFileBytes),
    'it is rotated; five old files are kept',
    source('maxBytes', 'cmd/log-file.ts'),
  ],
];

function limitsTable(rows: readonly Row[]): string {
  return table(['what', 'limit', 'beyond it', 'where to change it'], rows);
}

/** The tables by the name of their markers. */
export const limitTables: Readonly<Record<string, () => string>> = {
  'request-heads': () => limitsTable(requestHeads),
  'answer-heads': () => limitsTable(answerHeads),
  visitors: () => limitsTable(visitorRows),
  connectors: () => limitsTable(connectorRows),
  'private-networks': () => limitsTable(privateRows),
  'control-plane': () => limitsTable(controlRows),
  files: () => limitsTable(fileRows),
};
