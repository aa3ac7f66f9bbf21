// Where the PostgreSQL server is and how it is spoken to, from a URL: postgres://USER@HOST:PORT/DATABASE, or
// postgres:///DATABASE?host=/DIRECTORY for a Unix socket. TLS with a checked certificate is the default to other machines. A
// password that is not given is looked up by the driver: PGPASSWORD, then the file PGPASSFILE or ~/.pgpass.

import { readFileSync } from 'node:fs';
import { type ClientConfig, types } from 'pg';
import { foreignCode, PosternError } from '../../errors/error.ts';

export interface PostgresServer {
  readonly config: ClientConfig;
  /** For people and logs: without user and password. */
  readonly place: string;
}

const protocols = ['postgres:', 'postgresql:'];
const parameters = ['host', 'sslmode', 'sslrootcert'];
/** How long a connection may take to be made; a server that is there takes milliseconds. */
const connectTimeoutMs = 5_000;
/** How long a statement may take. The longest of ours list whole tables, in some 100 ms for 100,000 rows. */
export const statementTimeoutMs = 10_000;
/** OID of BIGINT, whose values all are exact numbers here: milliseconds and counts. */
const int8 = 20;

/** Throws 'config.invalid' without repeating the URL, which may hold a password. */
export function parsePostgresUrl(text: string, password?: string): PostgresServer {
  const url = URL.parse(text);
  if (url === null || !protocols.includes(url.protocol))
    throw new PosternError('config.invalid', 'The store is no URL of the form postgres://USER@HOST:PORT/DATABASE');
  for (const name of url.searchParams.keys())
    if (!parameters.includes(name))
      throw new PosternError(
        'config.invalid',
        `The store’s URL has the parameter ${name}; known ones are ${parameters.join(', ')}`,
      );
  const host =
    (url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '')) || 'localhost';
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '')
    throw new PosternError('config.invalid', 'The store’s URL names no database: postgres://USER@HOST:PORT/DATABASE');
  const port = url.port === '' ? 5432 : Number(url.port);
  const given = password ?? decodeURIComponent(url.password);
  const config: ClientConfig = {
    host,
    port,
    database,
    ...(url.username === '' ? {} : { user: decodeURIComponent(url.username) }),
    ...(given === '' ? {} : { password: given }),
    ssl: tlsOf(url, host),
    application_name: 'postern',
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs,
    types: { getTypeParser },
  };
  const where = host.startsWith('/') ? host : `${host}:${port}`;
  return { config, place: `${database} at ${where}` };
}

function tlsOf(url: URL, host: string): ClientConfig['ssl'] {
  const mode = url.searchParams.get('sslmode') ?? (isThisMachine(host) ? 'disable' : 'verify-full');
  switch (mode) {
    case 'disable':
      return false;
    case 'require':
      return { rejectUnauthorized: false };
    case 'verify-full': {
      const path = url.searchParams.get('sslrootcert');
      return path === null ? {} : { ca: readCertificate(path) };
    }
    default:
      throw new PosternError(
        'config.invalid',
        `sslmode=${mode} is not known; give disable, require (no check of the certificate) or verify-full`,
      );
  }
}

function isThisMachine(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function readCertificate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PosternError('config.invalid', `Cannot read ${path} of sslrootcert (${foreignCode(cause)})`, { cause });
  }
}

/** Numbers for BIGINT, where the driver gives text; everything else as the driver reads it. */
const getTypeParser: NonNullable<ClientConfig['types']>['getTypeParser'] = ((
  oid: number,
  format?: 'text' | 'binary',
) => (oid === int8 && format !== 'binary' ? Number : types.getTypeParser(oid, format))) as never;
