// Where cert.pem, the API credential, is looked for: the file that is named, a profile, the edge of this machine, the searched
// directories. Source: docs/protocol/commands-and-api.md §3 (origincert), §7.3.

import { dirname, join } from 'node:path';
import { configDirectories } from '../../internal/config/file/config-file.ts';
import { readPrivateFile } from '../../internal/credentials/private-file.ts';
import { certName, profileDirectory } from '../../internal/credentials/profiles.ts';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import { foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';
import { findLocalEdge } from './local-edge.ts';

export interface FoundCert {
  readonly path: string;
  readonly text: string;
  readonly credentialsDir: string;
  /** Where the edge listens whose credential it is: its own word, newer than the file's when several share a directory. */
  readonly apiUrl?: string | undefined;
}

/** The certificate that a person named. Throws 'credentials.not-found' when it is not there. */
export function namedCert(named: string, context: CommandContext): FoundCert {
  const path = resolvePath(named, context);
  const text = readCert(path, true);
  if (text !== undefined) return { path, text, credentialsDir: dirname(path) };
  throw new PosternError('credentials.not-found', `Cannot find the origin certificate ${path} (--origincert)`);
}

/** That of a profile. Throws 'credentials.not-found' when there is none. */
export function profileCert(name: string, context: CommandContext): FoundCert {
  const path = join(profileDirectory(context.homeDir, name), certName);
  const text = readCert(path, true);
  // Credentials of tunnels go where `tunnel run` looks for them.
  if (text !== undefined) return { path, text, credentialsDir: join(context.homeDir, '.postern') };
  throw new PosternError(
    'credentials.not-found',
    `There is no profile ${JSON.stringify(name)}: ${path} is missing. Log in with "postern tunnel --profile ${name} login EDGE"`,
  );
}

/**
 * That of the edge in POSTERN_STATE_DIR; else ~/.postern/cert.pem, the edge that runs under this user, the usual state
 * directory, and the other searched directories. Throws 'credentials.not-found' when there is none.
 */
export function searchCert(context: CommandContext): FoundCert {
  const directories = configDirectories(context.homeDir, context.platform);
  const [own = '', ...others] = directories;
  const { namedStateDir, running, stateDirs } = findLocalEdge(context);
  // Credentials of tunnels go where `tunnel run` looks for them, not among the edge's own files.
  const edges = stateDirs.map(directory => ({
    path: join(directory, certName),
    credentialsDir: own,
    apiUrl: directory === running?.stateDir ? running.apiUrl : undefined,
  }));
  const inDirectory = (directory: string) => ({ path: join(directory, certName), credentialsDir: directory });
  const places: readonly Omit<FoundCert, 'text'>[] =
    namedStateDir === undefined ? [inDirectory(own), ...edges, ...others.map(inDirectory)] : edges;
  for (const place of places) {
    const text = readCert(place.path, false);
    if (text !== undefined) return { ...place, text };
  }
  if (namedStateDir !== undefined) {
    throw new PosternError(
      'credentials.not-found',
      `There is no cert.pem in ${namedStateDir} (POSTERN_STATE_DIR): no edge has run there`,
    );
  }
  throw new PosternError(
    'credentials.not-found',
    `There is no cert.pem in [${directories.join(' ')}] and no edge runs under this user. Start one with "postern edge run", or name the certificate of an account with --origincert`,
  );
}

/** A file the user named must be readable; among the searched places one that is not is like one that is not there. */
function readCert(path: string, named: boolean): string | undefined {
  try {
    return readSecretFile(path, 'The origin certificate, which holds an API token,');
  } catch (error) {
    if (isPosternError(error)) throw error;
    const code = foreignCode(error);
    if (!named && (code === 'EACCES' || code === 'EPERM' || code === 'ENOTDIR')) return undefined;
    throw new PosternError('credentials.not-found', `Cannot read ${path}`, { cause: error });
  }
}

export function readCa(path: string): string | undefined {
  try {
    return readPrivateFile(path);
  } catch (error) {
    throw new PosternError('credentials.not-found', `Cannot read the CA ${path}`, { cause: error });
  }
}
