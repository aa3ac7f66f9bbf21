// Where a scenario takes place: an edge of ours as a process, and the tried program beside it with a home of its own, told
// by environment and flags where everything is, as a stock one has to be. Every word goes to both programs alike.

import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { type OriginCert, parseOriginCert } from '../../../internal/credentials/origin-cert.ts';
import { type ChildProgram, posternCommand, startChild } from '../../support/child-program.ts';
import { until, within } from '../../support/wait.ts';
import { NotOffered, type Stage } from './scenario.ts';

/** The exit code of our program for a command it does not have. */
const usageExit = 64;
const commandMs = 30_000;

export interface CommandOutcome {
  /** Exit code, or the signal that killed it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly protocol: 'http2' | 'quic';
  /** Default 2. */
  readonly connections?: number;
  /** Flags of `tunnel`. */
  readonly flags?: readonly string[];
  /** Flags and arguments of `run`. */
  readonly runFlags?: readonly string[];
  readonly token?: string;
}

export interface LabOptions {
  /** Words that run everything somewhere else: `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Further flags of the edge. */
  readonly edgeFlags?: readonly string[];
  /** Further variables of the edge. */
  readonly edgeEnv?: Readonly<Record<string, string>>;
}

/** Ports of the edge's listeners, all on loopback. */
interface EdgePorts {
  readonly connectors: number;
  readonly http: number;
  readonly https: number;
  readonly socks: number;
  readonly api: number;
}

/** Of a bundle of `tunnel diag`. */
export type BundleFile =
  | `${'tunnelstate' | 'systeminformation' | 'configuration' | 'cli-configuration'}.json`
  | 'metrics.txt'
  | `${'heap' | 'goroutine'}.pprof`;

export class Lab {
  readonly ports: EdgePorts;
  /** Home and working directory of the tried program. */
  readonly home: string;
  /** The edge's CA. */
  readonly caFile: string;
  readonly apiUrl: string;
  readonly quickServiceUrl: string;
  readonly #stage: Stage;
  readonly #stateDir: string;
  readonly #prefix: readonly string[];

  private constructor(stage: Stage, ports: EdgePorts, prefix: readonly string[]) {
    this.#stage = stage;
    this.ports = ports;
    this.#prefix = prefix;
    this.home = join(stage.directory, 'home');
    this.#stateDir = join(stage.directory, 'edge');
    this.caFile = join(this.#stateDir, 'ca.pem');
    this.quickServiceUrl = `http://127.0.0.1:${ports.api}`;
    this.apiUrl = `${this.quickServiceUrl}/client/v4`;
  }

  static async open(stage: Stage, { edgeEnv = {}, edgeFlags = [], prefix = [] }: LabOptions = {}): Promise<Lab> {
    const home = join(stage.directory, 'operator');
    for (const directory of [home, join(stage.directory, 'home')]) await mkdir(directory);
    const flags = [
      ...['--state-dir', join(stage.directory, 'edge'), '--location', 'lab', '--grace-period', '1s'],
      ...['--connector-port', '0', '--http-port', '0', '--https-port', '0', '--api', '127.0.0.1:0'],
      ...['--socks', '127.0.0.1:0', '--socks-open', ...edgeFlags],
    ];
    const edge = startChild([...prefix, ...posternCommand(), 'edge', 'run', ...flags], { home, env: edgeEnv });
    stage.after(() => edge.stop());
    await edge.logged(/Edge ready/);
    const portOf = (what: string): number =>
      Number(new RegExp(`Listening for ${what} (?:address|url)=\\S+?:(\\d+)`).exec(edge.log())?.[1]);
    const ports = {
      connectors: portOf('connectors'),
      http: portOf('HTTP visitors'),
      https: portOf('HTTPS visitors'),
      socks: portOf('SOCKS5'),
      api: portOf('API calls'),
    };
    return new Lab(stage, ports, prefix);
  }

  /** Starts the tried program; it is stopped with the scenario. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProgram {
    const child = startChild([...this.#prefix, ...this.#stage.program.words, ...args], {
      home: this.home,
      env: { TUNNEL_API_URL: this.apiUrl, TUNNEL_ORIGIN_CERT: join(this.#stateDir, 'cert.pem'), ...env },
    });
    this.#stage.after(() => child.stop());
    return child;
  }

  /** Runs a command of the tried program to its end. Rejects with `NotOffered` when our program has no such command. */
  async command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandOutcome> {
    const child = this.start(args, env);
    const code = await within(`the end of ${args.join(' ')}`, child.exited, commandMs);
    const outcome = { code, stdout: child.output(), stderr: child.log() };
    const [, missing] = /^There is no command "(.+)" \[usage\.invalid\]$/m.exec(outcome.stderr) ?? [];
    if (!this.#stage.program.isStock && code === usageExit && missing !== undefined)
      throw new NotOffered(`postern has no command "${missing}"`);
    return outcome;
  }

  /** As `command`; rejects when it ends with another code than 0. Gives what it printed. */
  async succeed(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.command(args);
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}:\n${stderr}`);
    return stdout;
  }

  /** Starts a command of ours as the operator of the edge; it is stopped with the scenario. */
  startOperator(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProgram {
    const home = join(this.#stage.directory, 'operator');
    const child = startChild([...this.#prefix, ...posternCommand(), ...args], { home, env });
    this.#stage.after(() => child.stop());
    return child;
  }

  /** Runs a command of ours as the operator of the edge; gives what it printed. */
  async operator(...args: readonly string[]): Promise<string> {
    const child = this.startOperator(args);
    const code = await within(`the end of postern ${args.join(' ')}`, child.exited, commandMs);
    if (code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${code}:\n${child.log()}`);
    return child.output();
  }

  /** Makes a tunnel with our own commands and leads `NAME.localhost` to it. */
  async makeTunnel(name: string): Promise<{ readonly host: string; readonly token: string }> {
    await this.operator('tunnel', 'create', name);
    await this.operator('tunnel', 'route', 'dns', name, name);
    const token = (await this.operator('tunnel', 'token', name)).trim();
    return { host: `${name}.localhost`, token };
  }

  /** Flags that lead a connector to this edge. */
  edgeFlags(connections: number): readonly string[] {
    // A stock connector makes no more connections than it knows addresses.
    const addresses = new Array<string>(connections).fill(`127.0.0.1:${this.ports.connectors}`);
    return [
      ...['--no-autoupdate', '--no-prechecks', '--metrics', '127.0.0.1:0', '--grace-period', '5s'],
      ...['--cacert', this.caFile, ...addresses.flatMap(address => ['--edge', address])],
    ];
  }

  /** Starts `tunnel run` and waits until all its connections are registered. */
  async run(options: RunOptions): Promise<ChildProgram> {
    const { protocol, connections = 2, flags = [], runFlags = [], token } = options;
    const connector = this.start(
      [
        ...['tunnel', ...this.edgeFlags(connections), '--protocol', protocol],
        ...['--ha-connections', String(connections), ...flags, 'run', ...runFlags],
      ],
      token === undefined ? {} : { TUNNEL_TOKEN: token },
    );
    await registered(connector, connections);
    return connector;
  }

  /** Runs `tunnel diag` of a program for a connector; gives the files of the bundle, one byte a character. */
  async bundle(words: readonly string[], connector: ChildProgram): Promise<Record<BundleFile, string>> {
    const [, metrics = ''] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
    const directory = await mkdtemp(join(this.#stage.directory, 'diag-'));
    const flags = ['tunnel', '--metrics', metrics, 'diag', '--no-diag-network', '--no-diag-logs'];
    const child = startChild([...this.#prefix, ...words, ...flags], { home: directory });
    this.#stage.after(() => child.stop());
    const code = await within('the end of diag', child.exited, commandMs);
    const [name = ''] = (await readdir(directory)).filter(file => file.endsWith('.zip'));
    if (code !== 0 || name === '') throw new Error(`diag ended with ${code}:\n${child.log()}`);
    const files = unzipSync(await readFile(join(directory, name)));
    const texts = Object.entries(files).map(([file, bytes]) => [file, Buffer.from(bytes).toString('latin1')]);
    return Object.fromEntries(texts) as Record<BundleFile, string>;
  }

  /** Calls the edge's API as the operator; gives the result of the answer, and rejects when it is no success. */
  api(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#call(method, ({ accountId }) => `accounts/${accountId}/${path}`, body);
  }

  /** The same for calls on the operator's zone. */
  zoneApi(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#call(method, ({ zoneId }) => `zones/${zoneId}/${path}`, body);
  }

  async #call(method: string, pathOf: (cert: OriginCert) => string, body: unknown): Promise<unknown> {
    const cert = parseOriginCert(await readFile(join(this.#stateDir, 'cert.pem'), 'utf8'));
    const path = pathOf(cert);
    const response = await fetch(`${this.apiUrl}/${path}`, {
      method,
      headers: { authorization: `Bearer ${cert.apiToken}`, connection: 'close', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(commandMs),
    });
    const answer = (await response.json()) as { readonly success: boolean; readonly result?: unknown };
    if (!answer.success)
      throw new Error(`${method} ${path} was answered ${response.status}: ${JSON.stringify(answer)}`);
    return answer.result;
  }
}

/** Settles when so many connections were registered; rejects when the program ended, or after a while, with its log. */
export async function registered(connector: ChildProgram, count: number): Promise<void> {
  const { child } = connector;
  const seen = (): number => connector.log().match(/Registered tunnel connection/g)?.length ?? 0;
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  try {
    await until(`${count} registrations`, () => seen() >= count || ended());
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${connector.log()}`);
  }
  if (seen() < count) throw new Error(`The connector ended with ${child.exitCode}:\n${connector.log()}`);
}
