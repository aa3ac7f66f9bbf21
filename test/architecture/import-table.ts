// Which room of internal/ may import which. imports.test.ts holds the tree to it; scripts/docs/rooms.ts draws the picture in
// the README from it.

/**
 * Room → rooms it may import, lowest tier first; a room stands below every room that may import it, so there are no circles.
 * Every room may import `errors` and `telemetry`, which import nothing but each other.
 */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  telemetry: [],
  net: [],
  wire: ['net'],
  schema: ['net'],
  rpc: ['wire'],
  quic: ['net'],
  transport: ['rpc', 'wire', 'quic', 'net'],
  discovery: ['net'],
  origin: ['net', 'schema'],
  ingress: ['schema'],
  proxy: ['transport', 'ingress', 'origin', 'net', 'schema'],
  datagram: ['wire', 'transport', 'net'],
  icmp: ['wire', 'net'],
  config: ['schema', 'net'],
  credentials: ['schema', 'net'],
  api: ['schema', 'net'],
  management: ['net'],
  service: ['net'],
  update: ['credentials', 'net'],
  store: ['schema', 'credentials'],
  certificates: ['store', 'credentials', 'net'],
  carriers: ['store', 'transport', 'rpc', 'wire', 'schema', 'net'],
  visitors: ['carriers', 'certificates', 'store', 'transport', 'wire', 'schema', 'net'],
  'private-network': ['carriers', 'store', 'datagram', 'transport', 'rpc', 'wire', 'schema', 'net'],
  'on-ramps': ['private-network', 'carriers', 'store', 'wire', 'schema', 'net'],
  'control-plane': ['carriers', 'certificates', 'store', 'credentials', 'api', 'schema', 'net'],
  features: [
    'control-plane',
    'on-ramps',
    'private-network',
    'visitors',
    'carriers',
    'certificates',
    'store',
    'transport',
    'credentials',
    'api',
    'schema',
    'net',
  ],
  connector: [
    'proxy',
    'ingress',
    'origin',
    'datagram',
    'icmp',
    'management',
    'discovery',
    'transport',
    'rpc',
    'wire',
    'schema',
    'net',
  ],
  edge: ['control-plane', 'features', 'on-ramps', 'visitors', 'carriers', 'certificates', 'store', 'management', 'net'],
};

/** Rooms that every room may import. */
export const everywhere: readonly string[] = ['errors', 'telemetry'];
