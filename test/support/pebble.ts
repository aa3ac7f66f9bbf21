// Pebble, the test authority of Let's Encrypt's makers, out of its Debian package: a real ACME server that asks the listeners
// of the test. Its names come from a DNS server of the test.

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Answer } from 'dns-packet';
import { requestWeb } from '../../internal/net/http/web-request.ts';
import { type ChildProgram, startChild } from './child-program.ts';
import { openTestDns } from './dns-server.ts';
import { temporaryDirectory } from './program.ts';
import { createTestCa, type TestCa } from './test-ca.ts';
import { unpackTool } from './unpacked-package.ts';
import { until } from './wait.ts';

export interface PebbleOptions {
  /** Where it asks over HTTP and by TLS. */
  readonly httpPort?: number | undefined;
  readonly tlsPort?: number | undefined;
  /** Names that lead to 127.0.0.1; every other has no address. */
  readonly names?: readonly string[];
  /** Of a DNS server to ask in place of one that knows `names`. */
  readonly dnsPort?: number | undefined;
  /** How many of a hundred nonces it refuses. */
  readonly badNonces?: number;
  /** External accounts that it wants, by key id; base64url. */
  readonly externalKeys?: Readonly<Record<string, string>>;
}

/** An authority that can be started again on the same address; it forgets everything then, its CA too. */
export class Pebble {
  readonly directoryUrl: string;
  /** Of its own server. */
  readonly caPem: string;
  readonly caFile: string;
  readonly #t: TestContext;
  readonly #tool: string;
  readonly #home: string;
  readonly #ca: TestCa;
  readonly #ports: readonly [number, number];
  #program: ChildProgram | undefined;

  private constructor(t: TestContext, tool: string, home: string, ca: TestCa, ports: readonly [number, number]) {
    this.#t = t;
    this.#tool = tool;
    this.#home = home;
    this.#ca = ca;
    this.#ports = ports;
    this.caPem = ca.cert;
    this.caFile = join(home, 'ca.pem');
    this.directoryUrl = `https://127.0.0.1:${ports[0]}/dir`;
  }

  /** Reserves an address and starts nothing. Undefined when there is no pebble: the test is skipped then, saying so. */
  static async find(t: TestContext): Promise<Pebble | undefined> {
    let tool: string;
    try {
      tool = await unpackTool('pebble', 'pebble');
    } catch {
      t.skip('pebble is not here and could not be had (Debian: package pebble)');
      return undefined;
    }
    const home = await temporaryDirectory(t);
    const pebble = new Pebble(t, tool, home, await createTestCa('Pebble server CA'), await freePorts());
    await writeFile(pebble.caFile, pebble.caPem);
    return pebble;
  }

  async start(options: PebbleOptions): Promise<void> {
    const { badNonces = 0, externalKeys, httpPort, names = [], tlsPort } = options;
    const { cert, key } = await this.#ca.issue(['127.0.0.1']);
    const [port, managementPort] = this.#ports;
    const unused = 1;
    const settings = {
      ...{ listenAddress: `127.0.0.1:${port}`, managementListenAddress: `127.0.0.1:${managementPort}` },
      ...{ certificate: 'cert.pem', privateKey: 'key.pem', httpPort: httpPort ?? unused, tlsPort: tlsPort ?? unused },
      ...{ ocspResponderURL: '', externalAccountBindingRequired: externalKeys !== undefined },
      externalAccountMACKeys: externalKeys,
    };
    await Promise.all([
      writeFile(join(this.#home, 'cert.pem'), cert),
      writeFile(join(this.#home, 'key.pem'), key, { mode: 0o600 }),
      writeFile(join(this.#home, 'pebble.json'), JSON.stringify({ pebble: settings })),
    ]);
    const dns = `127.0.0.1:${options.dnsPort ?? (await this.#openDns(names))}`;
    this.#program = startChild([this.#tool, '-strict', '-config', 'pebble.json', '-dnsserver', dns], {
      home: this.#home,
      env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(badNonces), PEBBLE_AUTHZREUSE: '0' },
    });
    this.#t.after(() => this.stop());
    await until('pebble to answer', async () => (await this.#get(this.directoryUrl)) !== undefined);
  }

  async stop(): Promise<void> {
    const program = this.#program;
    this.#program = undefined;
    program?.child.kill('SIGKILL');
    await program?.exited;
  }

  /** What it said so far. */
  get log(): string {
    return `${this.#program?.output() ?? ''}${this.#program?.log() ?? ''}`;
  }

  /** The CA that its certificates end in. */
  async rootPem(): Promise<string> {
    const text = await this.#get(`https://127.0.0.1:${this.#ports[1]}/roots/0`);
    if (text === undefined) throw new Error('pebble does not run');
    return text;
  }

  async #get(url: string): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(5_000);
      return (await requestWeb({ url, ca: [this.caPem], signal, maxBytes: 100_000 })).text;
    } catch {
      // Not yet.
      return undefined;
    }
  }

  async #openDns(names: readonly string[]): Promise<number> {
    const records = new Map<string, Answer[]>(
      names.map(name => [`A ${name}`, [{ type: 'A', name, ttl: 1, data: '127.0.0.1' }]]),
    );
    const dns = await openTestDns({ records });
    this.#t.after(() => dns.close());
    return dns.port;
  }
}

/** Of loopback: both are held until both are known. */
async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  const [first = 0, second = 0] = ports;
  return [first, second];
}
