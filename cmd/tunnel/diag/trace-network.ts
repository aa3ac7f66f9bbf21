// The way to the edge, hop by hop, by the system's traceroute. Source: docs/protocol/commands-and-api.md §18.

import { isIP } from 'node:net';
import { describeError, PosternError } from '../../../internal/errors/error.ts';
import { hostOf } from '../../../internal/net/address/host-port.ts';
import { textOf, tunnelsOf } from './instance.ts';
import { type ProgramOptions, runProgram } from './run-program.ts';

export interface Trace {
  /** `HOST-v4` or `HOST-v6`. */
  readonly name: string;
  readonly text: string;
  readonly hops: readonly Hop[];
  /** Why there is none. */
  readonly error: string | undefined;
}

export interface Hop {
  readonly hop: number;
  /** Name and address as they were printed; `*` for one that did not answer. */
  readonly domain: string;
  /** Microseconds. */
  readonly rtts?: readonly number[] | undefined;
}

/** Where Cloudflare's edges are. */
const cloudflareHosts = ['region1.v2.argotunnel.com', 'region2.v2.argotunnel.com'];
const maxHosts = 4;
/** ICMP as the edge answers it; five hops of five seconds each fit into a diagnosis. */
const flags = ['-I', '-w', '5', '-m', '5'];
const hostName = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** Traces to the edges that the connector was told of, else to those it is connected to, all at once. Never rejects. */
export function traceNetwork(
  configuration: unknown,
  state: unknown,
  program: ProgramOptions,
): Promise<readonly Trace[]> {
  const hosts = edgeHosts([
    ...entriesOf(textOf(configuration, 'edge')).map(hostOf),
    ...tunnelsOf(state).flatMap(connectedEdges),
  ]);
  const runs = hosts.flatMap(host =>
    ([4, 6] as const).filter(family => isIP(host) === 0 || isIP(host) === family).map(family => ({ host, family })),
  );
  return Promise.all(runs.map(({ host, family }) => trace(host, family, program)));
}

/** The hosts of `--edge` as a connector tells them: `a:1,b:2`, or `[a:1 b:2]` of cloudflared. */
function entriesOf(text: string): readonly string[] {
  const list = text.includes(',') || !/^\[.* .*\]$|^\[[^[]*:\d+\]$/.test(text) ? text : text.slice(1, -1);
  return list.split(/[\s,]+/).filter(entry => entry !== '');
}

function connectedEdges(state: unknown): readonly string[] {
  const connections = typeof state === 'object' && state !== null ? Reflect.get(state, 'connections') : undefined;
  return Array.isArray(connections) ? connections.map(connection => textOf(connection, 'edgeAddress')) : [];
}

/** They become arguments of a program. */
function edgeHosts(named: readonly string[]): readonly string[] {
  const usable = [...new Set(named)].filter(host => isIP(host) !== 0 || hostName.test(host));
  return usable.length === 0 ? cloudflareHosts : usable.slice(0, maxHosts);
}

async function trace(host: string, family: 4 | 6, program: ProgramOptions): Promise<Trace> {
  const name = `${host}-v${family}`;
  try {
    const text = await runProgram([family === 4 ? 'traceroute' : 'traceroute6', ...flags, host], program);
    return { name, text, hops: parseHops(text), error: undefined };
  } catch (error) {
    return { name, text: '', hops: [], error: describeError(error) };
  }
}

function parseHops(text: string): readonly Hop[] {
  const hops: Hop[] = [];
  for (const line of text.split('\n')) {
    const [, number, rest = ''] = /^\s*(\d{1,3})\s+(.*)$/.exec(line) ?? [];
    if (number === undefined) continue;
    const rtts = [...rest.matchAll(/([\d.]+) ms/g)].map(([, ms]) => Math.round(Number(ms) * 1_000));
    const [, domain = '*'] = /^(?:\*\s+)*([^\s*]+(?: \([^)]*\))?)/.exec(rest) ?? [];
    hops.push({ hop: Number(number), domain, rtts: rtts.length === 0 ? undefined : rtts });
  }
  return hops;
}

/** raw-network.txt. */
export function rawText(traces: readonly Trace[]): string {
  return traces.map(({ name, text }) => `${name}\n${text === '' ? 'no content\n' : text}`).join('\n');
}

/** Throws 'health.failed' that says why a trace is missing. */
export function requireTraces(traces: readonly Trace[]): void {
  const failures = traces.flatMap(({ error }) => error ?? []);
  if (failures.length > 0) throw new PosternError('health.failed', [...new Set(failures)].join('; '));
}
