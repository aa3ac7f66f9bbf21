// The table of error codes: what each one concerns, whether trying again can help, the exit code it asks for, and what to
// tell a person. One entry a code, sorted; a new code is added here and nowhere else. docs/errors.md is generated from it.

/** Where an error belongs: whose mistake or failure it names. */
export type ErrorScope =
  | 'usage'
  | 'config'
  | 'credentials'
  | 'network'
  | 'protocol'
  | 'origin'
  | 'visitor'
  | 'edge'
  | 'store'
  | 'internal';

/** Whether the same attempt may succeed later: `never`, `later` after a wait, `elsewhere` at another address. */
export type Retry = 'never' | 'later' | 'elsewhere';

/** What code can do with an error without knowing its code. */
export interface ErrorKind {
  readonly scope: ErrorScope;
  readonly retry: Retry;
  /** Process exit code when this error ends the program: 1 failure, 2 credentials refused, 3 bad configuration, 10 no update, 64 usage. */
  readonly exit: 1 | 2 | 3 | 10 | 64;
  /** What happened, in a sentence for docs/errors.md; nothing at run time reads it. */
  readonly meaning: string;
  /** What a person can do about it, likewise. */
  readonly remedy: string;
}

/** Every code there is; `PosternError` takes no other. */
export const errorTable = {
  'api.conflict': {
    scope: 'edge',
    retry: 'never',
    exit: 1,
    meaning: 'An id or a name fits several things where one was asked for.',
    remedy: 'Use the id of the one you mean; listings show ids.',
  },
  'api.failed': {
    scope: 'edge',
    retry: 'later',
    exit: 1,
    meaning: 'The control-plane API could not be reached, or its answer made no sense.',
    remedy: 'Check that the edge runs and that its API address is reachable; the cause is in the lines beneath.',
  },
  'api.invalid': {
    scope: 'usage',
    retry: 'never',
    exit: 1,
    meaning: 'A value does not have the form that the API takes.',
    remedy: 'Correct the value that the message names.',
  },
  'api.not-found': {
    scope: 'edge',
    retry: 'never',
    exit: 1,
    meaning: 'There is no tunnel, route or virtual network of that id or name in this account.',
    remedy: 'List what there is (`postern tunnel list`, `postern tunnel route ip list`, `postern tunnel vnet list`).',
  },
  'api.rate-limited': {
    scope: 'edge',
    retry: 'later',
    exit: 1,
    meaning: 'Too many calls, too many quick tunnels or too many wrong credentials came from this address.',
    remedy: 'Wait a minute. After wrong credentials, correct them first.',
  },
  'api.unauthorized': {
    scope: 'credentials',
    retry: 'never',
    exit: 2,
    meaning: 'The API does not know this API token, the token may not do that, or nobody confirmed a login.',
    remedy:
      "Log in with `postern tunnel login`, take the cert.pem of this edge's state directory, or name another with --origincert.",
  },
  'certificate.failed': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'A certificate authority gave no certificate, or could not be asked.',
    remedy:
      'Nothing at first: the edge tries again by itself, and serves the certificate it has. `postern edge certificates` shows ' +
      'what the authority said; docs/https.md lists what it usually means.',
  },
  'config.invalid': {
    scope: 'config',
    retry: 'never',
    exit: 3,
    meaning: 'A setting, a config file or a file that it names cannot be used as it is.',
    remedy: 'Correct what the message names; `postern tunnel ingress validate` lists every problem of the file.',
  },
  'config.not-found': {
    scope: 'config',
    retry: 'never',
    exit: 3,
    meaning: 'The config file is not there, or no config file was found.',
    remedy: 'Name the file with --config, or create it.',
  },
  'connection.closed': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'One end closed the connection in order: it stops, or it needs this connection no more.',
    remedy: 'Nothing: a connector connects again by itself.',
  },
  'connection.lost': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'The connection to the other end broke, or the other end said nothing for too long.',
    remedy: 'Nothing at first: a connector connects again by itself. If this repeats, see docs/troubleshooting.md.',
  },
  'credentials.invalid': {
    scope: 'credentials',
    retry: 'never',
    exit: 2,
    meaning: 'A token or a credentials file is damaged, too large, or would be overwritten.',
    remedy: 'Copy the token or the file again from where it was made.',
  },
  'credentials.not-found': {
    scope: 'credentials',
    retry: 'never',
    exit: 2,
    meaning: 'A credentials file, a token file or a cert.pem is not where it was looked for.',
    remedy: 'Name it with the flag in the message, or create the tunnel on this machine.',
  },
  'credentials.refused': {
    scope: 'credentials',
    retry: 'never',
    exit: 2,
    meaning: 'The edge knows this tunnel no more, or its secret is another one.',
    remedy: 'Fetch a new token, or create the tunnel again; check that the edge uses its old state directory.',
  },
  'dial.failed': {
    scope: 'network',
    retry: 'elsewhere',
    exit: 1,
    meaning: 'No connection could be made: refused, unreachable, or no name was resolved.',
    remedy: 'Check address, port and firewall (docs/operating.md lists the ports).',
  },
  'dial.timeout': {
    scope: 'network',
    retry: 'elsewhere',
    exit: 1,
    meaning: 'Nothing answered at that address in time.',
    remedy: 'Check the firewall: silence means that packets are dropped. Over UDP try --protocol http2.',
  },
  'discovery.failed': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'The addresses of the edge could not be found in DNS.',
    remedy: "Check this machine's DNS, or name the edge with --edge HOST:PORT.",
  },
  'file.failed': {
    scope: 'config',
    retry: 'never',
    exit: 1,
    meaning: 'A file or directory could not be read or written.',
    remedy: 'Correct its permissions or free space, or name another path.',
  },
  'flow.denied': {
    scope: 'edge',
    retry: 'never',
    exit: 1,
    meaning: 'A client asked for a destination or a virtual network that it may not reach.',
    remedy:
      'Add a route, name the right virtual network, or allow the destination at the connector (--allow-destination).',
  },
  'flow.limit': {
    scope: 'edge',
    retry: 'later',
    exit: 1,
    meaning: 'The edge or the connector has as much under way at once as it may have.',
    remedy: 'Wait for flows to end, or look in docs/limits.md for the bound.',
  },
  'health.failed': {
    scope: 'internal',
    retry: 'later',
    exit: 1,
    meaning: 'A health check found that the connector or the edge does not serve, or nobody answered it.',
    remedy: 'Read the reason behind the message; check the address given with --metrics.',
  },
  internal: {
    scope: 'internal',
    retry: 'never',
    exit: 1,
    meaning: 'Something that no part of the program foresaw: a bug, or an answer of the system without a code here.',
    remedy:
      'If the cause is of the system (no space, no permission), correct that; else report the stack that follows.',
  },
  'listen.failed': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'A listener could not get its address: in use, not of this machine, or not permitted.',
    remedy: 'Give another address or port, or end the program that holds it.',
  },
  'origin.failed': {
    scope: 'origin',
    retry: 'later',
    exit: 1,
    meaning: 'The origin broke off, or its answer is not valid HTTP.',
    remedy: "Look at the origin's own log; the connector's log has the cause.",
  },
  'origin.refused': {
    scope: 'origin',
    retry: 'never',
    exit: 1,
    meaning: 'The rules of the connector forbid this request or this destination.',
    remedy: 'Change the rule (ipRules, access) if the request should pass.',
  },
  'origin.timeout': {
    scope: 'origin',
    retry: 'later',
    exit: 1,
    meaning: 'The origin did not answer in time.',
    remedy: 'See whether the origin is overloaded, or raise connectTimeout or tlsTimeout of its rule.',
  },
  'origin.unreachable': {
    scope: 'origin',
    retry: 'later',
    exit: 1,
    meaning: 'The connector could not reach the origin.',
    remedy: "Start the origin, or correct the `service` of its rule; the connector's log names the cause.",
  },
  'protocol.malformed': {
    scope: 'protocol',
    retry: 'never',
    exit: 1,
    meaning: 'The other end sent bytes that the protocol does not allow.',
    remedy: 'Check that the address is that of an edge and the versions fit; else report it.',
  },
  'protocol.too-large': {
    scope: 'protocol',
    retry: 'never',
    exit: 1,
    meaning: 'A message, or what it asks for, goes beyond a limit of the protocol.',
    remedy: 'See docs/limits.md for the limit.',
  },
  'registration.duplicate': {
    scope: 'edge',
    retry: 'elsewhere',
    exit: 1,
    meaning: 'The edge has a connection of this connector with the same number still.',
    remedy: 'Nothing: the connector tries another address. Never run two connectors with the same connector id.',
  },
  'registration.refused': {
    scope: 'edge',
    retry: 'later',
    exit: 1,
    meaning: 'The edge takes this connection not now: it is stopping, or the tunnel has all its connections.',
    remedy: 'Wait; the message says why. Stop connectors that are not needed.',
  },
  'rpc.aborted': {
    scope: 'protocol',
    retry: 'later',
    exit: 1,
    meaning: 'The other end ended the control conversation.',
    remedy: 'Nothing: a connector connects again by itself.',
  },
  'rpc.exception': {
    scope: 'protocol',
    retry: 'later',
    exit: 1,
    meaning: 'The other end refused a control call; its reason is in the message.',
    remedy: "Act on the reason; without one, look at the other end's log.",
  },
  'rpc.timeout': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'The other end did not answer a control call in time.',
    remedy: 'Check the network; --rpc-timeout gives it longer.',
  },
  'service.failed': {
    scope: 'config',
    retry: 'never',
    exit: 1,
    meaning:
      'A service could not be installed, removed or asked: the right is missing, it exists already, or its manager refused.',
    remedy: 'Do what the message says; services of the machine need root.',
  },
  'store.away': {
    scope: 'store',
    retry: 'later',
    exit: 1,
    meaning:
      "The PostgreSQL server of the edge's database does not answer, or takes no writes. Nothing was changed; what is connected goes on.",
    remedy: 'Look at the database server and the way to it; the edge comes back by itself (docs/stores.md).',
  },
  'store.busy': {
    scope: 'store',
    retry: 'later',
    exit: 1,
    meaning:
      "Another program holds the write lock of the edge's database, or too many calls wait for it. Nothing was changed.",
    remedy: 'End that program, perhaps a backup or an SQL shell, and try again.',
  },
  'store.conflict': {
    scope: 'store',
    retry: 'never',
    exit: 1,
    meaning: 'That name or route is taken.',
    remedy: 'Choose another name, or delete the old one first.',
  },
  'store.failed': {
    scope: 'store',
    retry: 'later',
    exit: 1,
    meaning: "The edge's database could not be read or written.",
    remedy:
      'Check disk space and permissions of the state directory; if the file is damaged, restore a backup (docs/operating.md).',
  },
  'store.full': {
    scope: 'store',
    retry: 'later',
    exit: 1,
    meaning: "The disk of the edge's database is full. Nothing was changed.",
    remedy: 'Make room on the disk of the state directory, and try again.',
  },
  'stream.aborted': {
    scope: 'visitor',
    retry: 'never',
    exit: 1,
    meaning: 'The visitor or client went away before the end.',
    remedy: 'Nothing.',
  },
  'stream.reset': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'One request or flow was cut by the other end, or to free memory.',
    remedy: 'Nothing if rare; else see docs/flow-control.md on readers that stop.',
  },
  'tls.failed': {
    scope: 'network',
    retry: 'elsewhere',
    exit: 1,
    meaning: 'The TLS handshake failed, or a certificate or key cannot be used.',
    remedy: "Compare the name and the CA with what the message says; check the clock; --cacert names the edge's CA.",
  },
  'trace.failed': {
    scope: 'network',
    retry: 'later',
    exit: 1,
    meaning: 'The collector of traces did not take what was exported; requests are served all the same.',
    remedy:
      'Check OTEL_EXPORTER_OTLP_ENDPOINT and the headers it wants, and whether the collector takes OTLP over HTTP.',
  },
  unavailable: {
    scope: 'internal',
    retry: 'never',
    exit: 1,
    meaning: 'Something needed is not there: it is stopping, it is full, or this build lacks it.',
    remedy: 'Try again when it is up; the message says what is missing.',
  },
  'update.failed': {
    scope: 'network',
    retry: 'later',
    exit: 10,
    meaning:
      'An update could not be fetched or written, or the new program did not come up. The earlier one is in place.',
    remedy: 'Do what the message says; what the new program printed stands in it.',
  },
  'update.refused': {
    scope: 'network',
    retry: 'later',
    exit: 10,
    meaning:
      'What was offered as an update is not signed, out of date, not what was released, or older than what runs.',
    remedy: 'Try again later, or fetch the program from where it is published. Nothing was changed.',
  },
  'usage.invalid': {
    scope: 'usage',
    retry: 'never',
    exit: 64,
    meaning: 'The command line is wrong.',
    remedy: 'See the --help of the command.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;
