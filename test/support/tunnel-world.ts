// A whole tunnel of real programs: `postern edge run` with a state directory of its own, a tunnel made and routed by the
// commands a user types, connectors of `postern tunnel run`, and an origin in the test. Everything ends with the test.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import type { TestContext } from 'node:test';
import { listen } from './origin-server.ts';
import { type Program, startProgram, temporaryDirectory } from './program.ts';
import { runPostern } from './run-cli.ts';
import { until, within } from './wait.ts';

export interface WorldOptions {
  /** Default: answers every request with its path. */
  readonly origin?: RequestListener;
  /** Further flags of `edge run`. */
  readonly edgeFlags?: readonly string[];
  /** Further variables of the edge. */
  readonly edgeEnv?: Readonly<Record<string, string>>;
  /** Words that run the first edge somewhere else. */
  readonly edgePrefix?: readonly string[];
}

export interface ConnectOptions {
  /** Where to dial; default: the edge itself. */
  readonly port?: number;
  readonly protocol?: string;
  /** Default 1. */
  readonly connections?: number;
  /** Further flags of `tunnel`. */
  readonly flags?: readonly string[];
  /** Further variables. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const host = 'app.localhost';

export class TunnelWorld {
  readonly home: string;
  /** The edge's process now. */
  edge: Program;
  readonly connectorPort: number;
  readonly httpPort: number;
  readonly originPort: number;
  readonly #t: TestContext;
  readonly #edgeArgs: readonly string[];
  readonly #edgeEnv: Readonly<Record<string, string>>;

  private constructor(
    t: TestContext,
    parts: Pick<TunnelWorld, 'connectorPort' | 'edge' | 'home' | 'httpPort' | 'originPort'>,
    edgeArgs: readonly string[],
    edgeEnv: Readonly<Record<string, string>>,
  ) {
    this.#t = t;
    this.#edgeEnv = edgeEnv;
    this.home = parts.home;
    this.edge = parts.edge;
    this.connectorPort = parts.connectorPort;
    this.httpPort = parts.httpPort;
    this.originPort = parts.originPort;
    this.#edgeArgs = edgeArgs;
  }

  static async open(t: TestContext, options: WorldOptions = {}): Promise<TunnelWorld> {
    const home = await temporaryDirectory(t);
    const origin = createServer(options.origin ?? ((message, response) => void response.end(`origin ${message.url}`)));
    const originPort = await listen(t, origin);
    const fixed = ['edge', 'run', '--https-port', '-1', '--grace-period', '5s', '--loglevel', 'debug'];
    const edgeArgs = [...fixed, ...(options.edgeFlags ?? [])];
    const ports = ['--connector-port', '0', '--http-port', '0', '--api', '127.0.0.1:0'];
    const { edgeEnv = {}, edgePrefix = [] } = options;
    const edge = startProgram(t, [...edgeArgs, ...ports], { home, env: edgeEnv, prefix: edgePrefix });
    const port = async (pattern: RegExp): Promise<number> => Number((await edge.logged(pattern))[1]);
    const connectorPort = await port(/Listening for connectors address=\S+?:(\d+)/);
    const httpPort = await port(/Listening for HTTP visitors address=\S+?:(\d+)/);
    const apiPort = await port(/Listening for API calls url=\S+?:(\d+)\//);
    await edge.logged(/Edge ready/);
    for (const args of [
      ['tunnel', 'create', '--credentials-file', 'tunnel.json', 'app'],
      ['tunnel', 'route', 'dns', 'app', host],
    ]) {
      const { code, stderr } = await runPostern(home, args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    }
    const kept = ['--connector-port', connectorPort, '--http-port', httpPort, '--api', `127.0.0.1:${apiPort}`];
    const parts = { home, edge, connectorPort, httpPort, originPort };
    return new TunnelWorld(t, parts, [...edgeArgs, ...kept.map(String)], edgeEnv);
  }

  /** Starts a connector and waits until all its connections are registered. */
  async connect(options: ConnectOptions = {}): Promise<Program> {
    const { connections = 1 } = options;
    const connector = this.startConnector(options);
    await until(
      `${connections} registrations`,
      () => countOf(connector, /Registered tunnel connection/g) >= connections,
    );
    return connector;
  }

  /** Starts a connector and waits for nothing. */
  startConnector({ port, protocol = 'auto', connections = 1, flags = [], env = {} }: ConnectOptions = {}): Program {
    return startProgram(
      this.#t,
      [
        ...['tunnel', '--url', `http://127.0.0.1:${this.originPort}`, '--protocol', protocol, '--loglevel', 'debug'],
        ...['--edge', `127.0.0.1:${port ?? this.connectorPort}`, '--ha-connections', String(connections)],
        ...['--metrics', '127.0.0.1:0', '--grace-period', '5s', ...flags],
        ...['run', '--credentials-file', 'tunnel.json', 'app'],
      ],
      { home: this.home, env },
    );
  }

  /** One request of a visitor; rejects when the edge does not answer. */
  get(path = '/', headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: this.httpPort, path, headers: { Host: host, ...headers }, agent: false },
        response => resolve(readAnswer(response)),
      );
      sent.once('error', reject);
      sent.end();
    });
  }

  /** Asks until the origin answers: a tunnel that is being repaired may fail some. */
  async untilServed(path = '/', deadlineMs = 30_000): Promise<void> {
    const served = async (): Promise<boolean> => {
      const answer = await this.get(path).catch(() => undefined);
      return answer?.status === 200;
    };
    await until('an answer of the origin', served, deadlineMs);
  }

  /** Ends the edge with `signal` and waits for its exit. */
  async stopEdge(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    this.edge.child.kill(signal);
    return within('the exit of the edge', this.edge.exited);
  }

  /** Starts the edge again on the same ports and state. */
  async startEdge(): Promise<void> {
    this.edge = startProgram(this.#t, this.#edgeArgs, { home: this.home, env: this.#edgeEnv });
    await this.edge.logged(/Edge ready/);
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode ?? 0, text };
}

/** How often `pattern` (global) occurs in the program's log. */
export function countOf(program: Program, pattern: RegExp): number {
  return program.log().match(pattern)?.length ?? 0;
}

/** Whether the last registration of each of `count` connections was over `protocol`. */
export function allOver(program: Program, protocol: string, count: number): boolean {
  const last = new Map<string, string>();
  for (const [, index = '', used = ''] of program
    .log()
    .matchAll(/Registered tunnel connection connIndex=(\d+) .*protocol=(\w+)/g))
    last.set(index, used);
  return last.size === count && [...last.values()].every(used => used === protocol);
}

/** Protocols of the registrations so far, in order. */
export function registrations(program: Program): readonly string[] {
  return [...program.log().matchAll(/Registered tunnel connection .*protocol=(\w+)/g)].map(match => match[1] ?? '');
}
