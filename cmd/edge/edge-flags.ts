// The flags of `edge run`.

import type { Flag } from '../../internal/config/flag.ts';
import { defaultStateDir } from '../tunnel/local-edge.ts';
import { storePasswordFlag } from './store-flags.ts';

export const edgeFlags = [
  {
    name: 'domain',
    type: 'string',
    valueName: 'NAME',
    default: 'localhost',
    env: ['POSTERN_DOMAIN'],
    description: 'Zone whose subdomains are given to tunnels',
  },
  {
    name: 'state-dir',
    type: 'string',
    valueName: 'DIR',
    default: defaultStateDir,
    env: ['POSTERN_STATE_DIR'],
    description: 'Where the certificate authority, the database and the API credential are kept',
  },
  {
    name: 'store',
    type: 'string',
    valueName: 'URL',
    env: ['POSTERN_STORE'],
    description:
      'PostgreSQL database for tunnels and routes, postgres://USER@HOST/DATABASE (default: SQLite in the state directory)',
  },
  storePasswordFlag,
  {
    name: 'host',
    type: 'string',
    valueName: 'ADDRESS',
    description: 'Address to listen on for visitors (default: loopback for localhost, else every address)',
  },
  {
    name: 'http-port',
    type: 'integer',
    valueName: 'PORT',
    default: 8080,
    description: 'Port for visitors over HTTP; 0 any, -1 none',
  },
  {
    name: 'https-port',
    type: 'integer',
    valueName: 'PORT',
    default: 8443,
    description: 'Port for visitors over HTTPS; 0 any, -1 none',
  },
  {
    name: 'connector-host',
    type: 'string',
    valueName: 'ADDRESS',
    description: 'Address to listen on for connectors (default: as --host)',
  },
  { name: 'connector-port', type: 'integer', valueName: 'PORT', default: 7844, description: 'Port for connectors' },
  {
    name: 'api',
    type: 'string',
    valueName: 'HOST:PORT',
    default: '127.0.0.1:7845',
    description: 'Address of the control-plane API and the quick-tunnel service',
  },
  {
    name: 'name',
    type: 'list',
    valueName: 'NAME',
    description: 'Own host name or address for certificates; connectors dial the first (default: the domain)',
  },
  {
    name: 'cert',
    type: 'string',
    valueName: 'FILE',
    description: 'PEM certificate chain for visitors; for connectors too when it has the names that they check',
  },
  { name: 'key', type: 'string', valueName: 'FILE', description: 'PEM private key of --cert' },
  { name: 'ca', type: 'string', valueName: 'FILE', description: 'PEM certificate of the CA that issued --cert' },
  {
    name: 'acme',
    type: 'string',
    valueName: 'MAIL',
    env: ['POSTERN_ACME'],
    description:
      'Get public certificates for routed names from an ACME authority, as this mail address, and agree to its terms; ' +
      'docs/https.md says what it takes',
  },
  {
    name: 'acme-directory',
    type: 'string',
    valueName: 'URL',
    default: 'https://acme-v02.api.letsencrypt.org/directory',
    env: ['POSTERN_ACME_DIRECTORY'],
    description: 'The directory of the authority that --acme asks',
  },
  {
    name: 'acme-ca',
    type: 'string',
    valueName: 'FILE',
    description: 'PEM certificate of the CA of the authority’s own server, where this machine does not trust it',
  },
  {
    name: 'acme-eab-file',
    type: 'string',
    valueName: 'FILE',
    description:
      'File with the key id and the base64url key of an external account, on a line each; only you may read it',
  },
  {
    name: 'acme-dns',
    type: 'string',
    valueName: 'HOST:PORT',
    description:
      'Answer as the name server of _acme-challenge below the domain, which its NS record must name, to get a certificate ' +
      'of the domain and its wildcard; authorities ask port 53',
  },
  {
    name: 'acme-dns-hook',
    type: 'string',
    valueName: 'PROGRAM',
    description:
      'Program that sets and removes the TXT record _acme-challenge at the provider of the domain, to get a certificate of ' +
      'the domain and its wildcard',
  },
  {
    name: 'error-page',
    type: 'string',
    valueName: 'FILE',
    description: 'HTML page that browsers are shown when a request fails; docs/operating.md has its placeholders',
  },
  {
    name: 'quick-tunnels',
    type: 'boolean',
    default: 'true',
    description: 'Give out quick tunnels; --quick-tunnels=false does not',
  },
  {
    name: 'management-host',
    type: 'string',
    valueName: 'NAME',
    env: ['POSTERN_MANAGEMENT_HOST'],
    description:
      'Host name at which `postern tail` and the like ask connectors (default: postern-management in the domain)',
  },
  {
    name: 'public-ports',
    type: 'list',
    valueName: 'RANGE',
    description:
      'Ports that tunnels may be given with "tunnel route tcp" and "tunnel route udp", such as 5000-5999, or ' +
      'ACCOUNT=5000-5999 for one account alone; repeatable (default: none)',
  },
  {
    name: 'location',
    type: 'string',
    valueName: 'NAME',
    description: 'Name of this edge in registrations and listings (default: the host name)',
  },
  {
    name: 'socks',
    type: 'string',
    valueName: 'HOST:PORT',
    description: 'SOCKS5 listener into private networks: user VNET or VNET+ACCOUNT, password an API token',
  },
  { name: 'socks-open', type: 'boolean', description: 'SOCKS5 without credentials; only on a loopback address' },
  {
    name: 'http-proxy',
    type: 'string',
    valueName: 'HOST:PORT',
    description: 'HTTP proxy (CONNECT, and http:// URLs) into private networks, with the credentials of --socks',
  },
  {
    name: 'http-proxy-open',
    type: 'boolean',
    description: 'HTTP proxy without credentials; only on a loopback address',
  },
  {
    name: 'dns',
    type: 'list',
    valueName: 'LISTENER',
    description:
      'DNS listener, as VNET=HOST:PORT,resolver=IP[:PORT]; its queries go through the tunnel to that resolver of the ' +
      'virtual network, which the other ways in ask for names too; repeatable',
  },
  {
    name: 'confine-hostnames',
    type: 'boolean',
    description:
      'Hostname routes lead only to addresses that an IP route leads to through the same tunnel; without it DNS decides',
  },
  {
    name: 'metrics',
    type: 'string',
    valueName: 'HOST:PORT',
    description:
      'Where metrics are served, over HTTP without authentication: /metrics, /ready, /healthcheck (default: nowhere)',
  },
  {
    name: 'grace-period',
    type: 'duration',
    default: '30s',
    description: 'How long running requests may take when the edge stops',
  },
  {
    name: 'answer-timeout',
    type: 'duration',
    default: '10m',
    description: 'How long an origin may take to begin its answer, counted from the end of the request; 0s = for ever',
  },
] as const satisfies readonly Flag[];
