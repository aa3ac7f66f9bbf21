// Four nginx on hosts of their own (network namespaces), each behind a connector beside it, as members of one pool: the
// spread, a kill under load, and the way back. Real programs throughout. Linux and root only.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { haveCommand } from '../support/debian-package.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { haveTools } from '../support/tools.ts';
import { until, within } from '../support/wait.ts';

const count = 4;
const host = 'app.localhost';
let made = 0;

interface Outcome {
  /** Name of the nginx; empty when there was no good answer. */
  readonly by: string;
  readonly beganMs: number;
  readonly why: string;
}

class Hosts {
  readonly #names: readonly string[];
  readonly #t: TestContext;

  private constructor(t: TestContext, names: readonly string[]) {
    this.#t = t;
    this.#names = names;
  }

  /** One wire to each: ours has the address that `edgeOf` tells. Undefined when it cannot be done here. */
  static async open(t: TestContext): Promise<Hosts | undefined> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      t.skip('network namespaces need Linux and root (CAP_SYS_ADMIN and CAP_NET_ADMIN)');
      return undefined;
    }
    if (!(await haveTools(t, 'ip'))) return undefined;
    if (!haveCommand('nginx', ['nginx-light'])) {
      t.skip('nginx is not here and could not be installed (package nginx-light)');
      return undefined;
    }
    made += 1;
    const serial = `${process.pid.toString(36)}${made}`;
    const names = Array.from({ length: count }, (_, index) => `lb-${serial}-${index}`);
    const hosts = new Hosts(t, names);
    t.after(() => {
      for (const name of names) {
        try {
          run('ip', 'netns', 'delete', name);
        } catch {
          // It was not made.
        }
      }
    });
    try {
      for (const [index, name] of names.entries()) {
        const wire = `lb${serial}${index}`;
        run('ip', 'netns', 'add', name);
        run('ip', 'link', 'add', 'name', wire, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', name);
        run('ip', 'address', 'add', `${hosts.edgeOf(index)}/30`, 'dev', wire);
        run('ip', 'link', 'set', wire, 'up');
        const own = hosts.edgeOf(index).replace(/\d+$/, last => String(Number(last) + 1));
        run('ip', '-n', name, 'address', 'add', `${own}/30`, 'dev', 'uplink');
        for (const device of ['lo', 'uplink']) run('ip', '-n', name, 'link', 'set', device, 'up');
      }
    } catch (error) {
      t.skip(`network namespaces cannot be made here: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
    return hosts;
  }

  /** 198.18.0.0/15 is for tests of networks (RFC 2544). */
  edgeOf(index: number): string {
    return `198.19.${process.pid % 256}.${((made % 16) * count + index) * 4 + 1}`;
  }

  inside(index: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#names[index] ?? ''];
  }

  /** One process that says its number at port 8080 of its host's loopback. */
  async startNginx(index: number, home: string): Promise<ChildProcess> {
    const directory = join(home, `nginx${index}`);
    await mkdir(directory, { recursive: true });
    await writeFile(
      join(directory, 'nginx.conf'),
      `daemon off; master_process off; pid ${directory}/pid; error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  server { listen 127.0.0.1:8080; location / { return 200 "n${index}"; } }
}
`,
    );
    const [file = '', ...words] = [...this.inside(index), 'nginx', '-c', join(directory, 'nginx.conf')];
    const child = spawn(file, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(child, 'exit');
    this.#t.after(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    return child;
  }
}

async function openWorld(t: TestContext, hosts: Hosts) {
  const home = await temporaryDirectory(t);
  const servers: ChildProcess[] = [];
  for (let index = 0; index < count; index += 1) servers.push(await hosts.startNginx(index, home));
  const edge = startProgram(
    t,
    [
      ...['edge', 'run', '--connector-host', '0.0.0.0', '--connector-port', '0', '--http-port', '0'],
      ...['--https-port', '-1', '--api', '127.0.0.1:0', '--metrics', '127.0.0.1:0', '--grace-period', '1s'],
    ],
    { home },
  );
  const port = async (pattern: RegExp): Promise<number> => Number((await edge.logged(pattern))[1]);
  const connectorPort = await port(/Listening for connectors address=\S+?:(\d+)/);
  const httpPort = await port(/Listening for HTTP visitors address=\S+?:(\d+)/);
  await edge.logged(/Edge ready/);
  const postern = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runPostern(home, ['tunnel', ...args]);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const connectors: Program[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `n${index}`;
    await postern('create', '--credentials-file', `${name}.json`, name);
    await postern('route', 'lb', name, host, 'web');
    const protocol = index % 2 === 0 ? 'quic' : 'http2';
    connectors.push(
      startProgram(
        t,
        [
          ...['tunnel', '--url', 'http://127.0.0.1:8080', '--protocol', protocol, '--ha-connections', '2'],
          ...['--edge', `${hosts.edgeOf(index)}:${connectorPort}`, '--metrics', '127.0.0.1:0', '--no-prechecks'],
          ...['run', '--credentials-file', `${name}.json`, name],
        ],
        { home, prefix: hosts.inside(index) },
      ),
    );
  }
  for (const connector of connectors)
    await connector.logged(/Registered tunnel connection[\s\S]*Registered tunnel conn/);
  return { home, servers, httpPort, postern };
}

/** Visitors who ask one after the other until told to stop. */
function startLoad(t: TestContext, port: number, visitors: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: visitors });
  t.after(() => agent.destroy());
  const outcomes: Outcome[] = [];
  let isOver = false;
  const visit = (): Promise<Outcome> =>
    new Promise(resolve => {
      const beganMs = performance.now();
      const failed = (why: string): void => resolve({ by: '', beganMs, why });
      const call = request({ host: '127.0.0.1', port, agent, headers: { host } }, response => {
        let by = '';
        response.on('data', piece => (by += String(piece)));
        response.once('error', error => failed(error.message));
        response.once('end', () => {
          if (response.statusCode === 200) resolve({ by, beganMs, why: '' });
          else failed(`${response.statusCode} ${by}`);
        });
      });
      call.once('error', error => failed(error.message)).end();
    });
  const visitor = async (): Promise<void> => {
    while (!isOver) outcomes.push(await visit());
  };
  const running = Promise.all(Array.from({ length: visitors }, visitor));
  return {
    outcomes,
    async stop(): Promise<void> {
      isOver = true;
      await within('the visitors to end', running);
    },
  };
}

function sharesOf(outcomes: readonly Outcome[]): readonly number[] {
  return Array.from({ length: count }, (_, index) => {
    return outcomes.filter(({ by }) => by === `n${index}`).length / outcomes.length;
  });
}

it('a pool of four nginx loses one under load, and no request with it', { timeout: 120_000 }, async t => {
  const hosts = await Hosts.open(t);
  if (hosts === undefined) return;
  const { home, httpPort, postern, servers } = await openWorld(t, hosts);
  await postern('pool', 'check', 'web', '--interval', '1s', '--timeout', '1s', '--down-after', '2', '--up-after', '2');
  const health = async (): Promise<string> => postern('pool', 'health', 'web');
  const states = async () => [...(await health()).matchAll(/ (up|down) /g)].map(([, state]) => state);
  await until('all to be checked and up', async () => /( up .* [1-9]\d*\.\dms[\s\S]*){4}/.test(await health()));
  const load = startLoad(t, httpPort, 8);
  await until('some answers', () => load.outcomes.length >= 2_000);
  const before = load.outcomes.slice();
  // A quarter each: of 2,000 the deviation is 1 in 100.
  for (const share of sharesOf(before)) assert.ok(share > 0.18 && share < 0.32, sharesOf(before).join(' '));
  servers[1]?.kill('SIGKILL');
  await until('the dead one to be down', async () => (await states())[1] === 'down');
  const downMs = performance.now();
  const asked = load.outcomes.length;
  await until('as many answers again', () => load.outcomes.length >= asked + 2_000);
  const after = load.outcomes.filter(({ beganMs }) => beganMs >= downMs);
  assert.deepEqual(
    load.outcomes.filter(({ by }) => by === ''),
    [],
  );
  assert.equal(sharesOf(after)[1], 0);
  for (const index of [0, 2, 3]) assert.ok((sharesOf(after)[index] ?? 0) > 0.25, sharesOf(after).join(' '));
  await hosts.startNginx(1, home);
  await until('it to be up again', async () => (await states()).every(state => state === 'up'));
  const upAt = load.outcomes.length;
  await until('answers of all', () => load.outcomes.length >= upAt + 1_000);
  const last = sharesOf(load.outcomes.slice(upAt));
  assert.ok((last[1] ?? 0) > 0.12, last.join(' '));
  await load.stop();
  assert.deepEqual(
    load.outcomes.filter(({ by }) => by === ''),
    [],
  );
});

function run(file: string, ...args: readonly string[]): void {
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
