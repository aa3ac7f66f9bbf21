// Limits on private networks and the ways into them.

import { maxClients, maxOverTcp, maxWaiting as waitingQueries } from '../../internal/on-ramps/dns/forwarder.ts';
import { limits as echoLimits } from '../../internal/on-ramps/echo/echo-service.ts';
import { refusalLimits as wrongCredentials } from '../../internal/on-ramps/entrance/admission.ts';
import { handshakeLimits, maxConnections as onRampConnections } from '../../internal/on-ramps/entrance/listener.ts';
import { idleMs as httpProxyIdleMs } from '../../internal/on-ramps/http-proxy/forward-request.ts';
import { associationLimits } from '../../internal/on-ramps/socks/server.ts';
import { idleMs as associationIdleMs, maxFlows } from '../../internal/on-ramps/socks/udp-association.ts';
import { defaultFlowLimits } from '../../internal/private-network/flows/flow-tracker.ts';
import { maxCached, maxLookups } from '../../internal/private-network/names/name-resolver.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import { defaultIdleMs, ipPacketLimit, udpPayloadLimit } from '../../internal/wire/datagram/datagram-problem.ts';
import { bytes, count, flag, places, type Row, rate, source } from './limit-row.ts';

export const privateRows: readonly Row[] = [
  [
    'payload of a UDP datagram',
    bytes(udpPayloadLimit),
    'the datagram is dropped and counted',
    source('udpPayloadLimit', 'wire/datagram/datagram-problem.ts'),
  ],
  [
    'IP packet of a ping',
    bytes(ipPacketLimit),
    'the packet is dropped and counted',
    source('ipPacketLimit', 'wire/datagram/datagram-problem.ts'),
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
    source('defaultIdleMs', 'wire/datagram/datagram-problem.ts'),
  ],
  [
    'connections of one listener (SOCKS, HTTP proxy)',
    count(onRampConnections),
    'the new one is closed',
    source('maxConnections', 'on-ramps/entrance/listener.ts'),
  ],
  [
    'of them, not admitted yet',
    places(handshakeLimits),
    'the new one is closed',
    source('handshakeLimits', 'on-ramps/entrance/listener.ts'),
  ],
  [
    'wrong credentials of one address',
    rate(wrongCredentials),
    'every try of that address is refused',
    source('refusalLimits', 'on-ramps/entrance/admission.ts'),
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
