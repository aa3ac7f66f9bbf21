// What starting costs, and what is held when nothing happens: our program from its sources and built, beside a bare Node.

import { spawn, spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildBinary } from '../../scripts/build/binary.ts';
import { buildTree } from '../../scripts/build/package-tree.ts';
import { hostTarget } from '../../scripts/build/targets.ts';
import { repository, startChild } from '../support/child-program.ts';
import { type PosternProgram, sourcesOf } from './connector.ts';
import type { Contender } from './contender.ts';
import { range } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { openPair } from './pair.ts';
import { residentMb } from './process-usage.ts';

/** As for other figures at rest: timers of the start and late frees are over. */
const restMs = 2_000;
/** What each round of a command costs is some tens of ms, so there can be more rounds. */
const shortRuns = 10;
/** Nobody asks for them. */
const noOrigins = { http: 9, sink: 9, tcpDown: 9, tcpUp: 9 };

interface Row {
  readonly name: string;
  readonly versionMs: readonly number[];
  readonly registrationMs: readonly number[];
  readonly connectorMb: number;
  readonly edgeMb: number;
}

/** Gives the report as text. */
export async function benchStart(options: BenchOptions, directory: string): Promise<string> {
  if (!options.subjects.has('start')) return '';
  await mkdir(directory, { recursive: true });
  const bare: readonly string[] = [process.execPath, '-e'];
  const programs = await programsIn(directory);
  const versionMs = await shortRunsOf(
    [[...bare, '0'], ...programs.map(([, program]) => [...program([]), '--version'])],
    directory,
  );
  const rows: Row[] = [
    {
      name: 'node -e 0',
      versionMs: versionMs[0] ?? [],
      registrationMs: [],
      connectorMb: await idleMb([...bare, 'setInterval(() => 0, 1e6)'], directory),
      edgeMb: Number.NaN,
    },
    {
      name: 'Node with HTTP/2 and TLS loaded',
      versionMs: [],
      registrationMs: [],
      connectorMb: await idleMb(
        [...bare, 'require("node:http2"); require("node:tls"); setInterval(() => 0, 1e6)'],
        directory,
      ),
      edgeMb: Number.NaN,
    },
  ];
  for (const [index, [name, program]] of programs.entries()) {
    const started = await startedRow(name, program, options, join(directory, `start-${index}`));
    rows.push({ ...started, versionMs: versionMs[index + 1] ?? [] });
  }
  return formatRows(rows, options);
}

/** From the sources, and built in every form there is for this machine. */
async function programsIn(directory: string): Promise<readonly (readonly [string, PosternProgram])[]> {
  const tree = join(directory, 'built');
  await buildTree(tree, hostTarget === undefined ? [] : [hostTarget]);
  const programs: (readonly [string, PosternProgram])[] = [
    ['sources', sourcesOf(repository)],
    ['files built', nodeFlags => [process.execPath, ...nodeFlags, join(tree, 'postern.cjs')]],
  ];
  if (hostTarget !== undefined) {
    const { path } = await buildBinary(hostTarget, join(directory, 'postern-binary'));
    // A file that was just written is kept in memory in large pieces, which would count as the program's own.
    spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']);
    programs.push(['single binary', () => [path]]);
  }
  return programs;
}

/** Milliseconds from start to end of each command, in turns. The first turn, which fills caches, is left out. */
async function shortRunsOf(commands: readonly (readonly string[])[], home: string): Promise<readonly number[][]> {
  const tookMs = commands.map((): number[] => []);
  for (let turn = 0; turn <= shortRuns; turn += 1) {
    for (const [index, [file = '', ...args]] of commands.entries()) {
      const startedMs = performance.now();
      const child = spawn(file, args, {
        cwd: home,
        env: { HOME: home, PATH: process.env.PATH ?? '' },
        stdio: 'ignore',
      });
      await new Promise(resolve => child.once('exit', resolve));
      if (turn > 0) tookMs[index]?.push(performance.now() - startedMs);
    }
  }
  return tookMs;
}

async function idleMb(command: readonly string[], home: string): Promise<number> {
  await using child = startChild(command, { home });
  await delay(restMs);
  return residentMb(child.pid);
}

async function startedRow(
  name: string,
  program: PosternProgram,
  options: BenchOptions,
  directory: string,
): Promise<Omit<Row, 'versionMs'>> {
  await using pair = await openPair({
    ...{ name, program, connector: { postern: program }, options, directory, origins: noOrigins },
  });
  await delay(restMs);
  const memoryOf = (role: string): number =>
    residentMb(pair.processes.find(process => process.role === role)?.pid ?? 0);
  const [connectorMb, edgeMb] = [memoryOf('connector'), memoryOf('edge')];
  return { name, registrationMs: await registrations(pair, options.rounds), connectorMb, edgeMb };
}

async function registrations(pair: Contender, rounds: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) tookMs.push((await pair.measureStart?.()) ?? Number.NaN);
  return tookMs;
}

function formatRows(rows: readonly Row[], { protocol }: BenchOptions): string {
  const lines = rows.map(({ name, versionMs, registrationMs, connectorMb, edgeMb }) =>
    [
      name.padEnd(34),
      (versionMs.length > 0 ? range(versionMs, 0) : '').padEnd(20),
      (registrationMs.length > 0 ? range(registrationMs, 0) : '').padEnd(20),
      connectorMb.toFixed(0).padEnd(20),
      Number.isNaN(edgeMb) ? '' : edgeMb.toFixed(0),
    ]
      .join(' ')
      .trimEnd(),
  );
  const columns = ['', '--version, ms', 'registration, ms', 'connector RSS, MB', 'edge RSS, MB'];
  const head = columns
    .map((column, at) => column.padEnd(at === 0 ? 34 : 20))
    .join(' ')
    .trimEnd();
  return [
    `Starting, over ${protocol}, Node ${process.versions.node}: medians (range); memory ${restMs / 1e3} s after all connections`,
    ...[head, ...lines].map(line => `  ${line}`),
  ].join('\n');
}
