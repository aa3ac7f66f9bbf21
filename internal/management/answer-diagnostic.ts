// The answers of /diag/* and /debug/pprof/* at the connector's metrics address: what `tunnel diag`, ours and cloudflared's,
// makes its bundle of. Source: docs/protocol/commands-and-api.md §13, §18.
//
// They tell more than health does, so no page in a browser gets them, whatever address is listened on. Nothing secret is
// in them: settings come without secrets, profiles hold names of functions and counts, never values from the heap. What
// takes seconds of work runs one at a time.

import { readFile } from 'node:fs/promises';
import { PosternError } from '../errors/error.ts';
import { withDeadline } from '../net/time/deadline.ts';
import { redactSecrets } from '../telemetry/redact-secrets.ts';
import type { DiagnosticSource } from './diagnostic-source.ts';
import type { LocalAnswer, LocalRequest } from './local-server.ts';
import { profileActivity, profileCpu, profileHeap } from './profiles.ts';
import { systemInformation } from './system-information.ts';

/** What a diagnosis waits for an answer; a check of a dead path has five seconds a probe. */
const deadlineMs = 14_000;
/** A profile may take so long; its asker says how long it waits. */
const maxSeconds = 60;
const defaultSeconds = { heap: 2, profile: 10 } as const;

const index = `Profiles in the format of pprof:
  goroutine  what the process waits for: sockets, timers, files, by kind
  heap       objects that live of those made meanwhile, sampled; ?seconds=${defaultSeconds.heap}
  profile    where CPU time goes, sampled; ?seconds=${defaultSeconds.profile}
`;

/**
 * Undefined = there is no such path. `sources`: of each tunnel of the process, one at least; `?tunnel_id=` chooses one, and without
 * it answers about several name each.
 */
export async function answerDiagnostic(
  path: string,
  request: LocalRequest,
  sources: readonly DiagnosticSource[],
): Promise<LocalAnswer | undefined> {
  if (request.fromPage) return { status: 403, body: 'forbidden\n' };
  const wanted = request.query.get('tunnel_id')?.toLowerCase();
  const chosen = sources.filter(({ tunnelId }) => wanted === undefined || tunnelId === wanted);
  if (chosen.length === 0)
    return { status: 404, body: `tunnel_id is none of ${sources.map(({ tunnelId }) => tunnelId).join(', ')}\n` };
  switch (path) {
    case '/diag/tunnel':
      return json(oneOrEach(chosen.map(tunnelState)));
    case '/diag/configuration':
      return json({ ...settingsOf(chosen), ...(await processFacts()) });
    case '/diag/system':
      return json(await systemInformation(chosen[0]?.version ?? ''));
    case '/diag/prechecks':
      return alone(async () => json(await withDeadline(checkEdges(chosen), deadlineMs, tooLate)));
    case '/debug/pprof/':
      return { status: 200, body: index };
    case '/debug/pprof/cmdline':
      return { status: 403, body: 'forbidden\n' };
    case '/debug/pprof/goroutine':
      return pprof(profileActivity());
    case '/debug/pprof/heap':
      return sampled(request, defaultSeconds.heap, profileHeap);
    case '/debug/pprof/profile':
      return sampled(request, defaultSeconds.profile, profileCpu);
    default:
      return undefined;
  }
}

/** Zero values are left out, as cloudflared leaves them out: index 0, and protocol 0, which is HTTP/2. */
function tunnelState(source: DiagnosticSource): object {
  const connections = source.connections().map(({ connIndex, ip, protocol }) => ({
    isConnected: true,
    ...(protocol === 'quic' ? { protocol: 1 } : {}),
    edgeAddress: ip,
    ...(connIndex > 0 ? { index: connIndex } : {}),
  }));
  const { connectorId, tunnelId } = source;
  return { tunnelID: tunnelId, connectorID: connectorId, connections, icmp_sources: source.icmpSources() };
}

/** One tunnel is told of as a stock connector tells of its own. */
function oneOrEach(answers: readonly object[]): object {
  const [only] = answers;
  return answers.length === 1 && only !== undefined ? only : { tunnels: answers };
}

/** What all share stands as with one tunnel; what differs, under the tunnels' ids. */
function settingsOf(sources: readonly DiagnosticSource[]): object {
  const [first, ...others] = sources;
  const shared = Object.entries(first?.settings ?? {}).filter(([name, value]) =>
    others.every(({ settings }) => settings[name] === value),
  );
  if (others.length === 0) return Object.fromEntries(shared);
  const names = new Set(shared.map(([name]) => name));
  const own = sources.map(({ settings, tunnelId }) => {
    return [tunnelId, Object.fromEntries(Object.entries(settings).filter(([name]) => !names.has(name)))];
  });
  return { ...Object.fromEntries(shared), tunnels: Object.fromEntries(own) };
}

async function checkEdges(sources: readonly DiagnosticSource[]): Promise<unknown> {
  const [first, ...others] = sources;
  if (first !== undefined && others.length === 0) return first.checkEdge();
  const reports = sources.map(async source => ({ tunnelID: source.tunnelId, report: await source.checkEdge() }));
  return { tunnels: await Promise.all(reports) };
}

/** Where `tunnel diag` finds the log beside the settings. */
async function processFacts(): Promise<Readonly<Record<string, string>>> {
  const cgroup = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  const unit = /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1];
  const facts = { uid: String(process.getuid?.() ?? ''), pid: String(process.pid) };
  return unit === undefined ? facts : { ...facts, unit };
}

async function sampled(
  { query, signal }: LocalRequest,
  defaultSeconds: number,
  take: (ms: number, signal: AbortSignal) => Promise<Uint8Array>,
): Promise<LocalAnswer> {
  const text = query.get('seconds') ?? String(defaultSeconds);
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > maxSeconds)
    return { status: 400, body: `seconds must be a number above 0, at most ${maxSeconds}\n` };
  return alone(async () => pprof(await take(seconds * 1_000, signal)));
}

let busy = false;

/** One at a time in this process: a profile slows down what it measures, and V8 has one profiler of a kind. */
async function alone(work: () => Promise<LocalAnswer>): Promise<LocalAnswer> {
  if (busy) return { status: 429, body: 'Another profile or check is being made; ask again when it is done\n' };
  busy = true;
  try {
    return await work();
  } finally {
    busy = false;
  }
}

const tooLate = (): PosternError => new PosternError('health.failed', `Not done within ${deadlineMs / 1_000} s`);

function json(value: unknown): LocalAnswer {
  return { status: 200, body: redactSecrets(JSON.stringify(value)) };
}

function pprof(bytes: Uint8Array): LocalAnswer {
  return { status: 200, body: bytes, contentType: 'application/octet-stream' };
}
