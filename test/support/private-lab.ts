// Private networks as people have them, of real programs in network namespaces: the test is the visitor, an edge, two
// connectors in two networks that use the same addresses, and a private host behind each. Linux and root only.
//
//   test ──198.18.n.0/30── edge ──192.168.90.0/30── connector a ──10.1.0.0/16── host A: 10.1.0.2, 10.1.0.3, fd10:1::2
//                            └────192.168.91.0/30── connector b ──10.1.0.0/16── host B: 10.1.0.2, 10.1.0.3, fd10:1::2

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { type Program, startProgram, temporaryDirectory } from './program.ts';
import { type CliOutcome, runPostern } from './run-cli.ts';
import { haveTools } from './tools.ts';
import { until, within } from './wait.ts';

export type Side = 'a' | 'b';

export interface LabOptions {
  /** MTU of the wire between the edge and connector b. */
  readonly mtuB?: number;
}

const hostAddresses = ['10.1.0.2', '10.1.0.3', 'fd10:1::2'] as const;
const roles = ['e', 'a', 'b', 'ha', 'hb'] as const;
let made = 0;

export class PrivateLab {
  readonly home: string;
  readonly edge: Program;
  /** The edge's address as visitors see it. */
  readonly address: string;
  /** API token of the operator. */
  readonly token: string;
  readonly ports = { socks: 1080, httpProxy: 3128, dns: 53, dnsOffice: 5353 } as const;
  readonly #t: TestContext;
  readonly #name: (role: string) => string;

  private constructor(t: TestContext, home: string, edge: Program, address: string, name: (role: string) => string) {
    this.#t = t;
    this.home = home;
    this.edge = edge;
    this.address = address;
    this.#name = name;
    this.token = parseOriginCert(readFileSync(join(home, 'state', 'cert.pem'), 'utf8')).apiToken;
  }

  /**
   * Makes everything but the connectors: tunnels `a` (default network) and `b` (network `office`) with the route
   * 10.1.0.0/16 each. Undefined when namespaces cannot be made here: the test is skipped then, saying why.
   */
  static async open(t: TestContext, options: LabOptions = {}): Promise<PrivateLab | undefined> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      t.skip('network namespaces need Linux and root (CAP_SYS_ADMIN and CAP_NET_ADMIN)');
      return undefined;
    }
    if (!(await haveTools(t, 'ip'))) return undefined;
    made += 1;
    const serial = `${process.pid.toString(36)}${made}`;
    const name = (role: string): string => `pl-${serial}-${role}`;
    // 198.18.0.0/15 is for tests of networks (RFC 2544); 64 of its /30 for tests that run at once.
    const block = `198.18.${process.pid % 256}.${(made % 64) * 4}`;
    const [outside, address] = [1, 2].map(host => block.replace(/\d+$/, last => String(Number(last) + host)));
    const wire = `pl${serial}`;
    // Whatever was made is removed, also when the next step fails.
    t.after(() => removeNamespaces(roles.map(name)));
    try {
      for (const role of roles) run('ip', 'netns', 'add', name(role));
    } catch (error) {
      t.skip(`network namespaces cannot be made here: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
    buildNetwork(name, wire, { outside: `${outside}/30`, edge: `${address}/30` }, options);
    for (const side of ['a', 'b']) await startHost(t, name(`h${side}`), side.toUpperCase());
    const home = await temporaryDirectory(t);
    const on = (port: number): string => `${address}:${port}`;
    const edge = startProgram(
      t,
      [
        ...['edge', 'run', '--state-dir', join(home, 'state'), '--host', '0.0.0.0', '--http-port', '8080'],
        ...['--https-port', '-1', '--name', address ?? '', '--api', on(7845)],
        ...['--socks', on(1080), '--http-proxy', on(3128), '--dns', `default=${on(53)},resolver=10.1.0.2`],
        ...['--dns', `office=${on(5353)},resolver=10.1.0.3:53`, '--grace-period', '2s', '--loglevel', 'debug'],
      ],
      { home, prefix: inside(name('e')) },
    );
    await edge.logged(/Edge ready/);
    const lab = new PrivateLab(t, home, edge, address ?? '', name);
    await lab.#addRoutes();
    return lab;
  }

  /** Starts a connector of the side's tunnel with two connections and waits until they are registered. */
  async connect(side: Side, ...flags: readonly string[]): Promise<Program> {
    const connector = startProgram(
      this.#t,
      [
        ...[
          'tunnel',
          '--edge',
          `192.168.${side === 'a' ? 90 : 91}.1:7844`,
          '--protocol',
          'quic',
          '--ha-connections',
          '2',
        ],
        ...['--metrics', '127.0.0.1:0', '--loglevel', 'debug', '--grace-period', '2s'],
        ...[
          '--protocol',
          'quic',
          'run',
          '--icmpv4-src',
          '10.1.0.1',
          ...flags,
          '--credentials-file',
          `${side}.json`,
          side,
        ],
      ],
      { home: this.home, prefix: inside(this.#name(side)) },
    );
    const registered = (): number => connector.log().match(/Registered tunnel connection/g)?.length ?? 0;
    try {
      await until('two registrations', () => registered() === 2);
    } catch (error) {
      throw new Error(`The connector did not register:\n${connector.log()}`, { cause: error });
    }
    return connector;
  }

  /** Runs a command of ours as the operator. */
  postern(...args: readonly string[]): Promise<CliOutcome> {
    return runPostern(this.home, args);
  }

  async #addRoutes(): Promise<void> {
    for (const args of [
      ['tunnel', 'create', '--credentials-file', 'a.json', 'a'],
      ['tunnel', 'create', '--credentials-file', 'b.json', 'b'],
      ['tunnel', 'vnet', 'add', 'office'],
      ['tunnel', 'route', 'ip', 'add', '10.1.0.0/16', 'a'],
      ['tunnel', 'route', 'ip', 'add', 'fd10:1::/64', 'a'],
      ['tunnel', 'route', 'ip', 'add', '--vnet', 'office', '10.1.0.0/16', 'b'],
    ]) {
      const { code, stderr } = await this.postern(...args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    }
  }
}

function buildNetwork(
  name: (role: string) => string,
  wire: string,
  addresses: { readonly outside: string; readonly edge: string },
  options: LabOptions,
): void {
  for (const role of roles) run('ip', '-n', name(role), 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'name', wire, 'type', 'veth', 'peer', 'name', 'out', 'netns', name('e'));
  run('ip', 'address', 'add', addresses.outside, 'dev', wire);
  run('ip', 'link', 'set', wire, 'up');
  configure(name('e'), 'out', addresses.edge);
  for (const [index, side] of (['a', 'b'] as const).entries()) {
    const host = name(`h${side}`);
    const uplink = `192.168.${90 + index}`;
    addWire(name('e'), `to-${side}`, name(side), 'uplink');
    addWire(name(side), 'lan', host, 'lan');
    configure(name('e'), `to-${side}`, `${uplink}.1/30`);
    configure(name(side), 'uplink', `${uplink}.2/30`);
    configure(name(side), 'lan', '10.1.0.1/16', 'fd10:1::1/64');
    configure(host, 'lan', '10.1.0.2/16', '10.1.0.3/16', 'fd10:1::2/64');
  }
  if (options.mtuB !== undefined) {
    run('ip', '-n', name('e'), 'link', 'set', 'to-b', 'mtu', `${options.mtuB}`);
    run('ip', '-n', name('b'), 'link', 'set', 'dev', 'uplink', 'mtu', `${options.mtuB}`);
  }
  // One connector uses unprivileged ping sockets, the other has the raw socket of its capability.
  run('ip', 'netns', 'exec', name('a'), 'sysctl', '-qw', 'net.ipv4.ping_group_range=0 2147483647');
}

function addWire(namespace: string, device: string, otherNamespace: string, otherDevice: string): void {
  const peer = ['peer', 'name', otherDevice, 'netns', otherNamespace];
  run('ip', '-n', namespace, 'link', 'add', 'name', device, 'type', 'veth', ...peer);
}

async function startHost(t: TestContext, namespace: string, label: string): Promise<void> {
  const script = join(import.meta.dirname, 'private-host-child.ts');
  const [file = '', ...words] = [...inside(namespace), process.execPath, script, label, ...hostAddresses];
  const child: ChildProcess = spawn(file, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  if (child.stdout === null) throw new Error('no output');
  await within('the private host', Promise.race([once(child.stdout, 'data'), ended]));
  assert.equal(child.exitCode, null, 'the private host ended');
}

function inside(namespace: string): readonly string[] {
  return ['ip', 'netns', 'exec', namespace];
}

function configure(namespace: string, device: string, ...addresses: readonly string[]): void {
  for (const address of addresses) {
    // Without duplicate address detection an IPv6 address can be used at once.
    const nodad = address.includes(':') ? ['nodad'] : [];
    run('ip', '-n', namespace, 'address', 'add', address, 'dev', device, ...nodad);
  }
  run('ip', '-n', namespace, 'link', 'set', 'dev', device, 'up');
}

function removeNamespaces(names: readonly string[]): void {
  for (const name of names) {
    try {
      run('ip', 'netns', 'delete', name);
    } catch {
      // It was not made.
    }
  }
}

function run(file: string, ...args: readonly string[]): void {
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
