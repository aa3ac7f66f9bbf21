// Which folder of a large room may import which of its other folders. folders.test.ts holds the tree to it. Rooms with fewer
// than some 3,000 lines need no row: they are read in one go.

/**
 * Room → folder → folders of the same room that it may import; `.` is the room's own files. An empty row is
 * for any folders that import none of each other. What a room is cut by stands beside it.
 */
export const folderTable: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  // By subject. An everyday thing has one home here; it knows only the things it is made of.
  net: {
    address: [],
    file: [],
    http: ['address', 'proxy', 'trust'],
    http2: ['http', 'limits'],
    limits: ['address'],
    linux: ['address'],
    native: [],
    packet: [],
    proxy: ['address', 'trust'],
    'proxy-protocol': ['address'],
    socks: ['address', 'stream'],
    stream: ['address', 'linux', 'time'],
    time: [],
    trust: [],
    websocket: [],
  },
  // By what the bytes are: messages of the calls, heads and bodies of streams, datagrams; two of them are made of Cap'n Proto.
  wire: {
    '.': [],
    capnp: [],
    datagram: [],
    generated: [],
    rpc: ['capnp'],
    stream: ['capnp'],
  },
  // Settings as flags, variables and values; the config file, read, checked and watched.
  config: {
    '.': [],
    file: ['.'],
  },
  // What users write (configuration files, rules) and what the API exchanges.
  schema: {
    '.': [],
    api: [],
  },
  // One seam in the room's own files, a folder a variant, and `open`, which alone names the variants.
  transport: {
    '.': [],
    http2: ['.'],
    quic: ['.'],
    open: ['.', 'http2', 'quic'],
  },
  // By the way of a request: the exchange that is served, the dial, the messages on that connection, then a folder a family of
  // services. `open.ts` names them.
  origin: {
    '.': ['dial', 'exchange', 'http', 'services'],
    dial: ['exchange'],
    exchange: [],
    http: ['dial', 'exchange', 'message'],
    message: [],
    services: ['dial', 'exchange', 'websocket'],
    websocket: ['exchange'],
  },
  // By the two ends, which meet in the channel only; sockets are the connector's.
  datagram: {
    channel: [],
    connector: ['channel', 'socket'],
    edge: ['channel'],
    socket: [],
  },
  // The seam, its tables in SQL, a folder a variant of the database, `open`, which alone names the variants, and what follows the
  // seam's feed of changes.
  store: {
    '.': ['contract'],
    contract: [],
    follow: ['contract'],
    open: ['contract', 'postgres', 'sql', 'sqlite'],
    postgres: ['contract', 'sql'],
    sql: ['contract'],
    sqlite: ['contract', 'sql'],
  },
  // By the way of a request: a listener of either version, then the steps and the forwarding that they share.
  visitors: {
    '.': ['routing'],
    http1: ['.'],
    open: ['.', 'http1', 'routing'],
    routing: [],
  },
  // By what a flow needs: a route, the address of a name, a connection.
  'private-network': {
    '.': ['dns', 'flows', 'names', 'routes'],
    dns: ['flows', 'routes'],
    flows: [],
    names: ['dns', 'flows'],
    routes: ['flows'],
  },
  // A folder a way in; all pass the same entrance.
  'on-ramps': {
    '.': ['dns', 'echo', 'entrance', 'http-proxy', 'socks'],
    dns: ['entrance'],
    echo: [],
    entrance: [],
    'http-proxy': ['entrance'],
    socks: ['entrance'],
  },
  // A folder a feature; none knows another, and a new one needs no row.
  features: {},
  // By what is kept running: connections, the choice of their protocol, private traffic, the configuration, management from afar;
  // and checks beside them.
  connector: {
    '.': ['configuration', 'loop', 'private', 'protocol', 'remote'],
    configuration: [],
    loop: ['protocol'],
    prechecks: ['.', 'loop'],
    private: [],
    protocol: [],
    remote: [],
  },
};
