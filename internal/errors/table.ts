// The table of error codes: what each one concerns, whether trying again can help, and the exit code it asks for.
// One line a code, sorted; a new code is added here and nowhere else. Exit codes are documented in the README.

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

/** What a code means to those who handle it without knowing it. */
export interface ErrorKind {
  readonly scope: ErrorScope;
  readonly retry: Retry;
  /** Process exit code when this error ends the program: 1 failure, 2 credentials refused, 3 bad configuration, 64 usage. */
  readonly exit: 1 | 2 | 3 | 64;
}

/** Every code there is; `PosternError` takes no other. */
export const errorTable = {
  'api.conflict': { scope: 'edge', retry: 'never', exit: 1 },
  'api.failed': { scope: 'edge', retry: 'later', exit: 1 },
  'api.invalid': { scope: 'usage', retry: 'never', exit: 1 },
  'api.not-found': { scope: 'edge', retry: 'never', exit: 1 },
  'api.rate-limited': { scope: 'edge', retry: 'later', exit: 1 },
  'api.unauthorized': { scope: 'credentials', retry: 'never', exit: 2 },
  'config.invalid': { scope: 'config', retry: 'never', exit: 3 },
  'config.not-found': { scope: 'config', retry: 'never', exit: 3 },
  'connection.closed': { scope: 'network', retry: 'later', exit: 1 },
  'connection.lost': { scope: 'network', retry: 'later', exit: 1 },
  'credentials.invalid': { scope: 'credentials', retry: 'never', exit: 2 },
  'credentials.not-found': { scope: 'credentials', retry: 'never', exit: 2 },
  'credentials.refused': { scope: 'credentials', retry: 'never', exit: 2 },
  'dial.failed': { scope: 'network', retry: 'elsewhere', exit: 1 },
  'dial.timeout': { scope: 'network', retry: 'elsewhere', exit: 1 },
  'discovery.failed': { scope: 'network', retry: 'later', exit: 1 },
  'file.failed': { scope: 'config', retry: 'never', exit: 1 },
  'flow.denied': { scope: 'edge', retry: 'never', exit: 1 },
  'flow.limit': { scope: 'origin', retry: 'later', exit: 1 },
  'health.failed': { scope: 'internal', retry: 'later', exit: 1 },
  internal: { scope: 'internal', retry: 'never', exit: 1 },
  'listen.failed': { scope: 'network', retry: 'later', exit: 1 },
  'origin.failed': { scope: 'origin', retry: 'later', exit: 1 },
  'origin.refused': { scope: 'origin', retry: 'never', exit: 1 },
  'origin.timeout': { scope: 'origin', retry: 'later', exit: 1 },
  'origin.unreachable': { scope: 'origin', retry: 'later', exit: 1 },
  'protocol.malformed': { scope: 'protocol', retry: 'never', exit: 1 },
  'protocol.too-large': { scope: 'protocol', retry: 'never', exit: 1 },
  'registration.duplicate': { scope: 'edge', retry: 'elsewhere', exit: 1 },
  'registration.refused': { scope: 'edge', retry: 'later', exit: 1 },
  'rpc.aborted': { scope: 'protocol', retry: 'later', exit: 1 },
  'rpc.exception': { scope: 'protocol', retry: 'later', exit: 1 },
  'rpc.timeout': { scope: 'network', retry: 'later', exit: 1 },
  'store.busy': { scope: 'store', retry: 'later', exit: 1 },
  'store.conflict': { scope: 'store', retry: 'never', exit: 1 },
  'store.failed': { scope: 'store', retry: 'later', exit: 1 },
  'stream.aborted': { scope: 'visitor', retry: 'never', exit: 1 },
  'stream.reset': { scope: 'network', retry: 'later', exit: 1 },
  'tls.failed': { scope: 'network', retry: 'elsewhere', exit: 1 },
  unavailable: { scope: 'internal', retry: 'never', exit: 1 },
  'usage.invalid': { scope: 'usage', retry: 'never', exit: 64 },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;
