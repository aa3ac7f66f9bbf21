// The control sockets of the connectors that run under this user: ~/.postern/run/PID-NUMBER.sock.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateDirectory } from '../../internal/credentials/private-file.ts';
import { describeError, foreignCode, isPosternError } from '../../internal/errors/error.ts';
import { askControlSocket, openControlSocket } from '../../internal/management/control-socket.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { CommandContext } from '../context.ts';
import type { Change } from './reload-plan.ts';

/** What a connector is asked. */
export type ControlQuestion = { readonly ask: 'status' } | { readonly ask: 'reload'; readonly dryRun: boolean };

export interface ConnectorStatus {
  readonly pid: number;
  readonly tunnelId: string;
  /** Absolute path of its config file. */
  readonly file: string | null;
  /** Name of its entry in that file's list; absent where it has none. */
  readonly entry?: string | undefined;
  /** Of the configuration that the edge pushed; -1 = the local one is in force. */
  readonly version: number;
  /** In force, in the form of /config. */
  readonly config: unknown;
}

export interface ReloadOutcome {
  readonly pid: number;
  readonly tunnelId: string;
  readonly file: string | null;
  /** What a reload changes, or changed. */
  readonly changes: readonly Change[];
  /** Why nothing was or would be taken over. */
  readonly error?: string;
}

/** A process has a socket for each of its tunnels. */
let opened = 0;

/** The socket is a convenience: where it cannot be made, the connector runs without. */
export async function openControl(
  { context, logger }: { context: CommandContext; logger: Logger },
  answer: (question: ControlQuestion) => Promise<ConnectorStatus | ReloadOutcome>,
): Promise<AsyncDisposable | undefined> {
  const directory = directoryOf(context);
  try {
    makePrivateDirectory(join(context.homeDir, '.postern'));
    makePrivateDirectory(directory);
    opened += 1;
    const path = join(directory, `${context.pid}-${opened}.sock`);
    return await openControlSocket(path, question => answer(question as ControlQuestion));
  } catch (error) {
    if (!isPosternError(error) && foreignCode(error) === undefined) throw error;
    logger.debug(`This connector takes no commands: ${describeError(error)}`);
    return undefined;
  }
}

/** Reading a file and opening its origins takes no longer. */
const timeoutMs = 30_000;

/** A connector that runs, and the socket that it answers at. */
export interface RunningConnector {
  readonly status: ConnectorStatus;
  readonly path: string;
}

/** The connectors of this user, one for each tunnel of a process. */
export async function findConnectors(context: CommandContext): Promise<readonly RunningConnector[]> {
  const found = await Promise.all(
    socketsOf(context).map(async path => ({ path, status: await ask<ConnectorStatus>(path, { ask: 'status' }) })),
  );
  return found.flatMap(({ path, status }) => (status === undefined ? [] : [{ path, status }]));
}

/** Lets these read their files again; those that have gone meanwhile are left out. */
export async function reloadConnectors(
  connectors: readonly RunningConnector[],
  dryRun: boolean,
): Promise<readonly ReloadOutcome[]> {
  const outcomes = await Promise.all(connectors.map(({ path }) => ask<ReloadOutcome>(path, { ask: 'reload', dryRun })));
  return outcomes.filter(outcome => outcome !== undefined);
}

/** Undefined when the connector has gone; its socket is removed then. */
async function ask<Answer extends ConnectorStatus | ReloadOutcome>(
  path: string,
  question: ControlQuestion,
): Promise<Answer | undefined> {
  try {
    return (await askControlSocket(path, question, timeoutMs)) as Answer;
  } catch (error) {
    if (!isGone(error)) throw error;
    rmSync(path, { force: true });
    return undefined;
  }
}

/** Nobody listens at the socket, whose process was killed. */
function isGone(error: unknown): boolean {
  const code = error instanceof Error ? foreignCode(error.cause) : undefined;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

function socketsOf(context: CommandContext): readonly string[] {
  const directory = directoryOf(context);
  try {
    return readdirSync(directory)
      .filter(name => /^\d+-[0-9a-f]+\.sock$/.test(name))
      .map(name => join(directory, name));
  } catch (error) {
    if (foreignCode(error) === undefined) throw error;
    return [];
  }
}

function directoryOf({ homeDir }: CommandContext): string {
  return join(homeDir, '.postern', 'run');
}
