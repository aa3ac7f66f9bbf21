// The flags of `tunnel` and `tunnel run`. Source: spec cli-and-api §3, §4. Flags of the recorded peer that do nothing are
// in ignored-flags.ts.

import { isIP } from 'node:net';
import { parsePrefix } from '../net/prefix.ts';
import type { Flag, FlagValue } from './flag.ts';

const oneOf =
  (text: string, allowed: readonly string[]) =>
  (value: FlagValue): string | undefined =>
    allowed.includes(String(value)) ? undefined : `${text}: ${value}. Use one of ${allowed.join(', ')}`;

const atLeast =
  (name: string, minimum: number) =>
  (value: FlagValue): string | undefined =>
    Number(value) >= minimum ? undefined : `${name} must be at least ${minimum}, not ${value}`;

const isAddress =
  (name: string) =>
  (value: FlagValue): string | undefined =>
    isIP(String(value)) !== 0 ? undefined : `invalid value for ${name}: ${value}. Use an IP address`;

function checkGracePeriod(value: FlagValue): string | undefined {
  const ms = Number(value);
  return ms >= 0 && ms <= 180_000 ? undefined : 'grace-period must be equal or less than 3m0s';
}

function checkTags(value: FlagValue): string | undefined {
  const wrong = (value as readonly string[]).find(tag => !/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+=[\x20-\x7e]+$/.test(tag));
  return wrong === undefined ? undefined : `Cannot parse tag value ${wrong}. Write KEY=VALUE`;
}

function checkResolvers(value: FlagValue): string | undefined {
  const list = value as readonly string[];
  if (list.length > 10) return `dns-resolver-addrs takes at most 10 addresses, not ${list.length}`;
  const wrong = list.find(item => {
    const [, v6, v4, port] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(item) ?? [];
    return isIP(v6 ?? v4 ?? '') === 0 || Number(port) < 1 || Number(port) > 65_535;
  });
  return wrong === undefined ? undefined : `dns-resolver-addrs must be IP:PORT, not ${wrong}`;
}

function checkPrefixes(value: FlagValue): string | undefined {
  const wrong = (value as readonly string[]).find(item => parsePrefix(item) === undefined);
  return wrong === undefined ? undefined : `allow-destination must be an address or CIDR block, not ${wrong}`;
}

/** Logging; every command takes these. */
export const logFlags = [
  {
    name: 'loglevel',
    aliases: ['log-level'],
    type: 'string',
    env: ['TUNNEL_LOGLEVEL'],
    default: 'info',
    fromFile: true,
    valueName: 'LEVEL',
    description: 'Least severe lines to log: debug, info, warn, error or fatal',
  },
  {
    name: 'logfile',
    type: 'string',
    env: ['TUNNEL_LOGFILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'Also append JSON log lines to this file',
  },
  {
    name: 'log-directory',
    type: 'string',
    env: ['TUNNEL_LOGDIRECTORY'],
    fromFile: true,
    valueName: 'DIR',
    description: 'Also write JSON log lines to DIR/postern.log, rotated at 1 MB, five old files kept',
  },
  {
    name: 'output',
    type: 'string',
    env: ['TUNNEL_MANAGEMENT_OUTPUT', 'TUNNEL_LOG_OUTPUT'],
    default: 'default',
    valueName: 'FORMAT',
    description: 'Format of log lines and errors: default or json',
  },
] as const satisfies readonly Flag[];

/** What one origin of flags (`--url` and its siblings) needs; `tunnel` and `tunnel run` take these. */
const originFlags = [
  {
    name: 'url',
    type: 'string',
    env: ['TUNNEL_URL'],
    fromFile: true,
    valueName: 'URL',
    description: 'Publish this one service, for example http://localhost:8080',
  },
  {
    name: 'hello-world',
    type: 'boolean',
    env: ['TUNNEL_HELLO_WORLD'],
    fromFile: true,
    description: 'Publish a built-in test server',
  },
  {
    name: 'unix-socket',
    type: 'string',
    env: ['TUNNEL_UNIX_SOCKET'],
    fromFile: true,
    valueName: 'PATH',
    description: 'Publish the HTTP service on this unix socket',
  },
  {
    name: 'bastion',
    type: 'boolean',
    env: ['TUNNEL_BASTION'],
    fromFile: true,
    description: 'Be a jump host: visitors name the destination',
  },
  {
    name: 'socks5',
    type: 'boolean',
    env: ['TUNNEL_SOCKS'],
    fromFile: true,
    description: 'Speak SOCKS5 to visitors of a TCP service',
  },
  {
    name: 'proxy-connect-timeout',
    type: 'duration',
    default: '30s',
    fromFile: true,
    description: 'Limit for connecting to the origin',
  },
  {
    name: 'proxy-tls-timeout',
    type: 'duration',
    default: '10s',
    fromFile: true,
    description: 'Limit for the TLS handshake with the origin',
  },
  {
    name: 'proxy-tcp-keepalive',
    type: 'duration',
    default: '30s',
    fromFile: true,
    description: 'TCP keep-alive period of origin connections',
  },
  {
    name: 'proxy-no-happy-eyeballs',
    type: 'boolean',
    fromFile: true,
    description: 'Do not race IPv4 and IPv6 to the origin',
  },
  {
    name: 'proxy-keepalive-connections',
    type: 'integer',
    default: 100,
    fromFile: true,
    description: 'Idle origin connections kept at most',
  },
  {
    name: 'proxy-keepalive-timeout',
    type: 'duration',
    default: '90s',
    fromFile: true,
    description: 'How long an idle origin connection is kept',
  },
  {
    name: 'http-host-header',
    type: 'string',
    env: ['TUNNEL_HTTP_HOST_HEADER'],
    fromFile: true,
    valueName: 'HOST',
    description: 'Host header sent to the origin instead of the visitor’s',
  },
  {
    name: 'origin-server-name',
    type: 'string',
    env: ['TUNNEL_ORIGIN_SERVER_NAME'],
    fromFile: true,
    valueName: 'NAME',
    description: "Name expected in the origin's certificate",
  },
  {
    name: 'origin-ca-pool',
    type: 'string',
    env: ['TUNNEL_ORIGIN_CA_POOL'],
    fromFile: true,
    valueName: 'FILE',
    description: 'More certificate authorities to trust for origins, PEM',
  },
  {
    name: 'no-tls-verify',
    type: 'boolean',
    env: ['NO_TLS_VERIFY'],
    fromFile: true,
    description: 'Accept any certificate of the origin',
  },
  {
    name: 'no-chunked-encoding',
    type: 'boolean',
    env: ['TUNNEL_NO_CHUNKED_ENCODING'],
    fromFile: true,
    description: 'Never send chunked request bodies to the origin, for WSGI servers',
  },
  {
    name: 'http2-origin',
    type: 'boolean',
    env: ['TUNNEL_ORIGIN_ENABLE_HTTP2'],
    fromFile: true,
    description: 'Speak HTTP/2 to HTTPS origins that offer it',
  },
] as const satisfies readonly Flag[];

/** Flags of `tunnel`, taken at every level of the `tunnel` commands. */
export const tunnelFlags = [
  {
    name: 'config',
    type: 'string',
    valueName: 'FILE',
    description: 'Config file, YAML; default: the first config.yml or config.yaml in the searched directories',
  },
  {
    name: 'origincert',
    type: 'string',
    env: ['TUNNEL_ORIGIN_CERT'],
    fromFile: true,
    valueName: 'FILE',
    description: 'API credentials; default: the first cert.pem in the searched directories',
  },
  ...logFlags,
  {
    name: 'transport-loglevel',
    inert: true,
    aliases: ['proto-loglevel'],
    type: 'string',
    env: ['TUNNEL_PROTO_LOGLEVEL', 'TUNNEL_TRANSPORT_LOGLEVEL'],
    default: 'info',
    fromFile: true,
    valueName: 'LEVEL',
    description: 'Least severe lines to log about connections to the edge',
  },
  {
    name: 'metrics',
    type: 'string',
    env: ['TUNNEL_METRICS'],
    default: 'localhost:0',
    fromFile: true,
    valueName: 'HOST:PORT',
    description: 'Where metrics are served; port 0 takes the first free of 20241 to 20245, else any',
  },
  {
    name: 'pidfile',
    type: 'string',
    env: ['TUNNEL_PIDFILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'File to write the process id to after the first connection',
  },
  ...originFlags,
  {
    name: 'credentials-file',
    aliases: ['cred-file'],
    type: 'string',
    env: ['TUNNEL_CRED_FILE'],
    fromFile: true,
    valueName: 'FILE',
    description: "The tunnel's credentials, JSON",
  },
  {
    name: 'edge',
    type: 'list',
    env: ['TUNNEL_EDGE'],
    fromFile: true,
    valueName: 'HOST:PORT',
    description: 'Edge address to use instead of discovery; repeatable',
  },
  {
    name: 'region',
    type: 'string',
    env: ['TUNNEL_REGION'],
    fromFile: true,
    description: 'Edge region, for example us',
  },
  {
    name: 'edge-ip-version',
    type: 'string',
    env: ['TUNNEL_EDGE_IP_VERSION'],
    default: 'auto',
    fromFile: true,
    valueName: '4|6|auto',
    check: oneOf('invalid value for edge-ip-version', ['4', '6', 'auto']),
    description: 'IP version of connections to the edge',
  },
  {
    name: 'edge-bind-address',
    type: 'string',
    env: ['TUNNEL_EDGE_BIND_ADDRESS'],
    fromFile: true,
    valueName: 'IP',
    check: isAddress('edge-bind-address'),
    description: 'Local address of connections to the edge',
  },
  {
    name: 'cacert',
    type: 'string',
    env: ['TUNNEL_CACERT'],
    fromFile: true,
    valueName: 'FILE',
    description: 'Certificate authorities of the edge, PEM',
  },
  {
    name: 'hostname',
    inert: true,
    type: 'string',
    env: ['TUNNEL_HOSTNAME'],
    fromFile: true,
    valueName: 'NAME',
    description: 'Host name to route to the tunnel named with --name',
  },
  {
    name: 'lb-pool',
    inert: true,
    type: 'string',
    env: ['TUNNEL_LB_POOL'],
    fromFile: true,
    valueName: 'NAME',
    description: 'Load balancer pool to route to the tunnel named with --name',
  },
  {
    name: 'name',
    inert: true,
    aliases: ['n'],
    type: 'string',
    env: ['TUNNEL_NAME'],
    fromFile: true,
    description: 'Tunnel to create if need be, and to run',
  },
  {
    name: 'overwrite-dns',
    inert: true,
    aliases: ['f'],
    type: 'boolean',
    env: ['TUNNEL_FORCE_PROVISIONING_DNS'],
    description: 'Overwrite an existing DNS record of that host name',
  },
  {
    name: 'quick-service',
    type: 'string',
    fromFile: true,
    valueName: 'URL',
    description:
      'Who gives names to quick tunnels; default: a local edge of this user, else https://api.trycloudflare.com',
  },
  {
    name: 'api-url',
    type: 'string',
    env: ['TUNNEL_API_URL'],
    fromFile: true,
    valueName: 'URL',
    description: 'Control-plane API; default: the one of the credentials, else https://api.cloudflare.com/client/v4',
  },
  {
    name: 'max-fetch-size',
    type: 'integer',
    env: ['TUNNEL_MAX_FETCH_SIZE'],
    default: 0,
    fromFile: true,
    hidden: true,
    description: 'Results a listing asks for per page; 0 leaves it to the server',
  },
  {
    name: 'tag',
    type: 'list',
    env: ['TUNNEL_TAG'],
    fromFile: true,
    valueName: 'KEY=VALUE',
    check: checkTags,
    description: 'Label sent to origins as Cf-Warp-Tag-KEY; repeatable',
  },
  { name: 'label', type: 'string', default: '', fromFile: true, description: 'Name of this connector in listings' },
  {
    name: 'retries',
    type: 'integer',
    env: ['TUNNEL_RETRIES'],
    default: 5,
    fromFile: true,
    check: atLeast('retries', 0),
    description: 'Back-off doublings: the wait between attempts stays under 2^N seconds',
  },
  {
    name: 'max-edge-addr-retries',
    inert: true,
    type: 'integer',
    default: 8,
    fromFile: true,
    hidden: true,
    check: atLeast('max-edge-addr-retries', 0),
    description: 'Failures on one edge address before another protocol is tried',
  },
  {
    name: 'ha-connections',
    type: 'integer',
    default: 4,
    fromFile: true,
    check: atLeast('ha-connections', 1),
    description: 'Connections to the edge',
  },
  {
    name: 'rpc-timeout',
    type: 'duration',
    default: '5s',
    fromFile: true,
    hidden: true,
    description: 'Limit for one call to the edge',
  },
  {
    name: 'write-stream-timeout',
    inert: true,
    type: 'duration',
    env: ['TUNNEL_STREAM_WRITE_TIMEOUT'],
    default: '0s',
    fromFile: true,
    hidden: true,
    description: 'Limit for one write of a proxied stream; 0 for none',
  },
  {
    name: 'grace-period',
    type: 'duration',
    env: ['TUNNEL_GRACE_PERIOD'],
    default: '30s',
    fromFile: true,
    check: checkGracePeriod,
    description: 'How long running requests may go on after the first SIGINT or SIGTERM, at most 3m',
  },
  {
    name: 'protocol',
    aliases: ['p'],
    type: 'string',
    env: ['TUNNEL_TRANSPORT_PROTOCOL'],
    default: 'auto',
    fromFile: true,
    valueName: 'auto|http2|quic',
    // Old configurations name h2mux; spec edge-protocol §3.1 has it mean http2.
    check: value => (value === 'h2mux' ? undefined : oneOf('Unknown protocol', ['auto', 'http2', 'quic'])(value)),
    description: 'Protocol of connections to the edge',
  },
  {
    name: 'post-quantum',
    aliases: ['pq'],
    type: 'boolean',
    env: ['TUNNEL_POST_QUANTUM'],
    fromFile: true,
    description: 'Connect to the edge only with post-quantum key exchange',
  },
  {
    name: 'quic-disable-pmtu-discovery',
    inert: true,
    type: 'boolean',
    env: ['TUNNEL_DISABLE_QUIC_PMTU'],
    fromFile: true,
    hidden: true,
    description: 'Do not look for larger QUIC packets than the smallest',
  },
  {
    name: 'quic-connection-level-flow-control-limit',
    inert: true,
    type: 'integer',
    env: ['TUNNEL_QUIC_CONN_LEVEL_FLOW_CONTROL_LIMIT'],
    default: 31_457_280,
    fromFile: true,
    hidden: true,
    description: 'Bytes in flight per QUIC connection at most',
  },
  {
    name: 'quic-stream-level-flow-control-limit',
    inert: true,
    type: 'integer',
    env: ['TUNNEL_QUIC_STREAM_LEVEL_FLOW_CONTROL_LIMIT'],
    default: 6_291_456,
    fromFile: true,
    hidden: true,
    description: 'Bytes in flight per QUIC stream at most',
  },
  {
    name: 'management-hostname',
    inert: true,
    type: 'string',
    env: ['TUNNEL_MANAGEMENT_HOSTNAME'],
    default: 'management.argotunnel.com',
    fromFile: true,
    hidden: true,
    description: 'Host name whose requests the connector itself answers',
  },
  {
    name: 'management-diagnostics',
    inert: true,
    type: 'boolean',
    env: ['TUNNEL_MANAGEMENT_DIAGNOSTICS'],
    default: 'true',
    fromFile: true,
    description: 'Offer metrics and profiles on the management host name',
  },
  {
    name: 'no-prechecks',
    inert: true,
    type: 'boolean',
    env: ['TUNNEL_NO_PRECHECKS'],
    fromFile: true,
    description: 'Skip the checks of connectivity at start',
  },
  {
    name: 'autoupdate-freq',
    inert: true,
    type: 'duration',
    default: '24h',
    fromFile: true,
    description: 'How often to look for updates; 0 for never',
  },
  {
    name: 'no-autoupdate',
    inert: true,
    type: 'boolean',
    env: ['NO_AUTOUPDATE'],
    fromFile: true,
    description: 'Do not look for updates',
  },
] as const satisfies readonly Flag[];

/** Flags that only `tunnel run` takes. */
export const runFlags = [
  {
    name: 'credentials-contents',
    type: 'string',
    env: ['TUNNEL_CRED_CONTENTS'],
    secret: true,
    fromFile: true,
    valueName: 'JSON',
    description: "The tunnel's credentials themselves; beats --credentials-file",
  },
  {
    name: 'token',
    type: 'string',
    env: ['TUNNEL_TOKEN'],
    secret: true,
    fromFile: true,
    description:
      'Token of the tunnel; beats all other credentials. Prefer --token-file: arguments show in process lists',
  },
  {
    name: 'token-file',
    type: 'string',
    env: ['TUNNEL_TOKEN_FILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'File that holds the token of the tunnel',
  },
  {
    name: 'features',
    aliases: ['F'],
    type: 'list',
    fromFile: true,
    description: 'Protocol features to offer to the edge; repeatable',
  },
  {
    name: 'icmpv4-src',
    type: 'string',
    env: ['TUNNEL_ICMPV4_SRC'],
    fromFile: true,
    valueName: 'IP',
    description: 'Source address of ICMPv4 echo requests',
  },
  {
    name: 'icmpv6-src',
    type: 'string',
    env: ['TUNNEL_ICMPV6_SRC'],
    fromFile: true,
    valueName: 'IP',
    description: 'Source address, and interface, of ICMPv6 echo requests',
  },
  {
    name: 'max-active-flows',
    type: 'integer',
    env: ['TUNNEL_MAX_ACTIVE_FLOWS'],
    fromFile: true,
    check: atLeast('max-active-flows', 0),
    description: 'Private network flows at once at most; beats warp-routing.maxActiveFlows of every configuration',
  },
  {
    name: 'dns-resolver-addrs',
    type: 'list',
    env: ['TUNNEL_DNS_RESOLVER_ADDRS'],
    fromFile: true,
    valueName: 'IP:PORT',
    check: checkResolvers,
    description: 'Resolvers for names in private networks, at most 10; repeatable',
  },
  {
    name: 'allow-destination',
    type: 'list',
    env: ['TUNNEL_ALLOW_DESTINATION'],
    fromFile: true,
    valueName: 'CIDR',
    check: checkPrefixes,
    description:
      'Loopback, link-local or multicast addresses that private network traffic may reach all the same; repeatable',
  },
] as const satisfies readonly Flag[];
