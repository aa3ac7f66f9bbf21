// Where the log of a connector is, and its last part: of a container or pod by the program of that system, else the file
// that the connector writes, else the journal of its systemd unit. Source: docs/protocol/commands-and-api.md §18.
//
// What listens on a local port says where its log is, and whoever runs there can say anything: a file is read only when it
// belongs to the user that has the port, so that nobody is led to hand out files of others.

import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PosternError } from '../../../internal/errors/error.ts';
import type { LocalAddress } from '../../../internal/management/local-server.ts';
import { textOf } from './instance.ts';
import { type ProgramOptions, runProgram } from './run-program.ts';

export interface LogPlace {
  readonly address: LocalAddress;
  /** Container id or name, of Docker or inside of the pod. */
  readonly container: string | undefined;
  readonly pod: string | undefined;
  /** Answer of /diag/configuration; undefined where there is none. */
  readonly configuration: unknown;
  readonly platform: NodeJS.Platform;
}

/** As the bundle of the stock program has it. */
const lines = '10000';
const sinceMs = 14 * 24 * 3_600_000;
const journalSince = '2 weeks ago';
/** Names of files in a log directory: ours and cloudflared's. */
const directoryNames = ['postern.log', 'cloudflared.log'];
const unitName = /^[A-Za-z0-9:_.@\\-]{1,255}\.service$/;

/** Rejects 'health.failed', or with the system's error, when there is no log to be had. */
export async function collectLog(place: LogPlace, program: ProgramOptions): Promise<string> {
  const { configuration, container, pod } = place;
  const since = new Date(Date.now() - sinceMs).toISOString();
  if (pod !== undefined) {
    const inside = container === undefined ? [] : ['-c', container];
    return runProgram(['kubectl', 'logs', pod, '--since-time', since, '--tail', lines, ...inside], program);
  }
  if (container !== undefined)
    return runProgram(['docker', 'logs', '--tail', lines, '--since', since, container], program);
  const logfile = textOf(configuration, 'logfile');
  if (logfile !== '') return readOwnLog(logfile, place, program.maxBytes);
  const directory = textOf(configuration, 'log-directory');
  if (directory !== '') return readFirst(directoryNames, directory, place, program.maxBytes);
  const unit = unitOf(configuration);
  if (unit !== undefined) return runProgram(['journalctl', '--no-pager', '--since', journalSince, '-u', unit], program);
  throw new PosternError(
    'health.failed',
    'The connector writes no log file and runs in no systemd unit: its log is where its standard error leads. Start it with --logfile FILE, or name its --diag-container-id or --diag-pod-id',
  );
}

/** Cloudflared does not name its unit; installed as a service, it runs as root. */
function unitOf(configuration: unknown): string | undefined {
  const unit = textOf(configuration, 'unit');
  if (unit !== '') return unitName.test(unit) && !unit.startsWith('-') ? unit : undefined;
  return textOf(configuration, 'uid') === '0' && textOf(configuration, 'pid') === ''
    ? 'cloudflared.service'
    : undefined;
}

async function readFirst(
  names: readonly string[],
  directory: string,
  place: LogPlace,
  maxBytes: number,
): Promise<string> {
  let failure: unknown;
  for (const name of names) {
    try {
      return await readOwnLog(join(directory, name), place, maxBytes);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function readOwnLog(path: string, place: LogPlace, maxBytes: number): Promise<string> {
  // Not blocked by a pipe that nobody writes to.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const status = await file.stat();
  if (!status.isFile()) throw new PosternError('health.failed', `${path}, the log file, is no file`);
  const listener = place.platform === 'linux' ? await listenerUid(place.address.port) : status.uid;
  if (listener !== status.uid) {
    const who =
      listener === undefined ? 'it cannot be told whose connector that is' : `the connector is user ${listener}'s`;
    throw new PosternError(
      'health.failed',
      `${path}, which the connector names as its log, belongs to user ${status.uid}, and ${who}; read it yourself if you trust it`,
    );
  }
  const start = Math.max(0, status.size - maxBytes);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(status.size - start), 0, status.size - start, start);
  const text = buffer.subarray(0, bytesRead).toString('utf8');
  return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
}

/** The user whose process listens on a TCP port of this machine, as the kernel knows it. */
async function listenerUid(port: number): Promise<number | undefined> {
  const listening = '0A';
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'latin1').catch(() => '');
    for (const line of text.split('\n')) {
      const [, local = '', , state, , , , uid] = line.trim().split(/\s+/);
      if (state === listening && Number.parseInt(local.split(':')[1] ?? '', 16) === port) return Number(uid);
    }
  }
  return undefined;
}
