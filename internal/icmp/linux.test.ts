// The echo proxy on real sockets in network namespaces, with a second host on the wire, under each privilege there is.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createNamespaces, inNamespace } from '../../test/support/namespaces.ts';
import { until } from '../../test/support/wait.ts';
import { formatIp, parseIp } from '../net/address/ip.ts';
import { encodeIcmpPacket, IcmpPacketView, icmpType } from '../net/packet/packet-icmp.ts';

const child = fileURLToPath(new URL('../../test/support/echo-proxy-child.ts', import.meta.url));

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  assert.ok(bytes !== undefined, text);
  return bytes;
}

interface LogLine {
  readonly level: string;
  readonly message: string;
}

/** The proxy in its namespace. */
class ProxyProcess {
  readonly packets: Uint8Array[] = [];
  readonly logs: LogLine[] = [];
  ready: boolean | undefined;
  counters: { readonly counters: { readonly requests: number }; readonly flows: number } | undefined;
  readonly #process: ChildProcess;

  constructor(namespace: string, capabilities: readonly string[], ...flags: readonly string[]) {
    const [program, parameters] = inNamespace(namespace, capabilities, [process.execPath, child, ...flags]);
    this.#process = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    assert.ok(this.#process.stdout !== null);
    createInterface({ input: this.#process.stdout }).on('line', line => this.#line(line));
  }

  async started(): Promise<boolean> {
    await until('the proxy is ready', () => this.ready !== undefined, 20_000);
    return this.ready === true;
  }

  send(packet: Uint8Array): void {
    this.write(Buffer.from(packet).toString('hex'));
  }

  write(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  async stop(): Promise<void> {
    this.#process.stdin?.end();
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
    assert.equal(this.#process.exitCode, 0, 'the process ends by itself: nothing holds it');
  }

  #line(line: string): void {
    const message = JSON.parse(line) as {
      ready?: boolean;
      packet?: string;
      log?: LogLine;
      counters?: { requests: number };
      flows?: number;
    };
    if (message.ready !== undefined) this.ready = message.ready;
    if (message.log !== undefined) this.logs.push(message.log);
    if (message.packet !== undefined) this.packets.push(Buffer.from(message.packet, 'hex'));
    if (message.counters !== undefined) this.counters = { counters: message.counters, flows: message.flows ?? -1 };
  }
}

interface Echo {
  readonly source: string;
  readonly destination: string;
  readonly identifier: number;
  readonly sequence: number;
  readonly text: string;
  readonly ttl?: number;
}

function request(echo: Echo): Uint8Array {
  const destination = ip(echo.destination);
  const out = new Uint8Array(1300);
  const length = encodeIcmpPacket(out, 0, {
    source: ip(echo.source),
    destination,
    ttl: echo.ttl ?? 64,
    type: icmpType[destination.length === 4 ? 4 : 6].echoRequest,
    code: 0,
    identifier: echo.identifier,
    sequence: echo.sequence,
    data: Buffer.from(echo.text),
  });
  return out.slice(0, length);
}

/** A packet as one line: `from > to type id sequence text`. The TTL of an echo reply is that of the host, 64. */
function describePacket(packet: Uint8Array): string {
  const view = new IcmpPacketView();
  const problem = view.decode(packet);
  if (problem !== undefined) return `bad packet: ${problem}`;
  const { source, destination, type, identifier, sequence, data, family, ttl } = view;
  if (type === icmpType[family].echoReply && ttl !== 64) return `ttl ${ttl}`;
  if (type === icmpType[family].timeExceeded) return `${formatIp(source)} > ${formatIp(destination)} time exceeded`;
  return `${formatIp(source)} > ${formatIp(destination)} ${type} ${identifier} ${sequence} ${Buffer.from(data).toString()}`;
}

const namespaces = createNamespaces();
const skip = 'lacking' in namespaces ? `lacking ${namespaces.lacking}` : false;
const spaces = 'lacking' in namespaces ? undefined : namespaces;

describe('echo proxy on Linux', { skip }, () => {
  after(() => spaces?.remove());

  /** What every kind of socket must do. */
  async function exercise(proxy: ProxyProcess): Promise<void> {
    // Two visitors with the same echo id and sequence at once, to the same host, and one to its other address.
    const same = { identifier: 0x1234, sequence: 7 };
    proxy.send(request({ source: '192.0.2.7', destination: '10.77.1.2', text: 'first', ...same }));
    proxy.send(request({ source: '192.0.2.8', destination: '10.77.1.2', text: 'second', ...same }));
    proxy.send(request({ source: '192.0.2.7', destination: '10.77.1.3', text: 'third', ...same }));
    proxy.send(request({ source: '2001:db8::7', destination: 'fd77:1::2', text: 'six', ...same }));
    proxy.send(request({ source: '2001:db8::8', destination: 'fd77:1::2', text: 'and six', ...same }));
    // A second request of a known flow, empty, and the largest that fits.
    proxy.send(request({ source: '192.0.2.7', destination: '10.77.1.2', identifier: 0x1234, sequence: 8, text: '' }));
    const large = 'x'.repeat(1280 - 28);
    proxy.send(
      request({ source: '192.0.2.7', destination: '10.77.1.2', identifier: 1, sequence: 0xffff, text: large }),
    );
    // Traceroute's first packet, both families.
    proxy.send(request({ source: '192.0.2.7', destination: '10.77.1.2', text: '', ttl: 1, ...same }));
    proxy.send(request({ source: '2001:db8::7', destination: 'fd77:1::2', text: '', ttl: 1, ...same }));
    await until('all answers', () => proxy.packets.length >= 9);
    assert.deepEqual(
      proxy.packets.map(describePacket).sort(),
      [
        '10.77.1.2 > 192.0.2.7 0 4660 7 first',
        '10.77.1.2 > 192.0.2.8 0 4660 7 second',
        '10.77.1.3 > 192.0.2.7 0 4660 7 third',
        'fd77:1::2 > 2001:db8::7 129 4660 7 six',
        'fd77:1::2 > 2001:db8::8 129 4660 7 and six',
        '10.77.1.2 > 192.0.2.7 0 4660 8 ',
        `10.77.1.2 > 192.0.2.7 0 1 65535 ${large}`,
        '10.77.1.1 > 192.0.2.7 time exceeded',
        'fd77:1::1 > 2001:db8::7 time exceeded',
      ].sort(),
    );
    proxy.write('counters');
    await until('counters', () => proxy.counters !== undefined);
    assert.equal(proxy.counters?.counters.requests, 7);
    assert.equal(proxy.counters?.flows, 6);
  }

  it('works without any privilege where the group may open ping sockets', async () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('0 0');
    const proxy = new ProxyProcess(spaces.connector, [], '10.77.1.1', 'fd77:1::1');
    assert.ok(await proxy.started());
    assert.match(JSON.stringify(proxy.logs), /"sockets":"ping sockets".*10\.77\.1\.1 as source for IPv4/);
    await exercise(proxy);
    await proxy.stop();
  });

  it('works with a raw socket where only CAP_NET_RAW is held', async () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('1 0');
    const proxy = new ProxyProcess(spaces.connector, ['net_raw'], '10.77.1.1', 'fd77:1::1');
    assert.ok(await proxy.started());
    assert.match(JSON.stringify(proxy.logs), /"sockets":"one raw socket"/);
    await exercise(proxy);
    await proxy.stop();
  });

  it('goes on without ICMP where neither is given, with one warning that names both ways out', async () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('1 0');
    const proxy = new ProxyProcess(spaces.connector, [], '10.77.1.1', 'fd77:1::1');
    assert.equal(await proxy.started(), false);
    assert.equal(proxy.logs.length, 1);
    assert.equal(proxy.logs[0]?.level, 'warn');
    assert.match(proxy.logs[0]?.message ?? '', /net\.ipv4\.ping_group_range="0 0".*CAP_NET_RAW/);
    await proxy.stop();
  });

  it('finds its own source addresses when none are given', async () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('0 0');
    const proxy = new ProxyProcess(spaces.connector, []);
    assert.ok(await proxy.started());
    // The namespace has no route to the probe address, so the source for IPv4 is unknown, as cloudflared has it.
    const expired = { destination: '10.77.1.2', identifier: 1, sequence: 1, text: '', ttl: 1 };
    proxy.send(request({ source: '192.0.2.7', ...expired }));
    proxy.send(request({ ...expired, source: '2001:db8::7', destination: 'fd77:1::2' }));
    proxy.send(request({ ...expired, source: '192.0.2.7', ttl: 64 }));
    await until('answers', () => proxy.packets.length === 3);
    assert.deepEqual(proxy.packets.map(describePacket).sort(), [
      '0.0.0.0 > 192.0.2.7 time exceeded',
      '10.77.1.2 > 192.0.2.7 0 1 1 ',
      'fd77:1::1 > 2001:db8::7 time exceeded',
    ]);
    await proxy.stop();
  });

  it('carries what macOS uses, the shared NAT over Node’s UDP handle, in both families', () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('0 0');
    const program = fileURLToPath(new URL('../../test/support/shared-socket-child.ts', import.meta.url));
    for (const [host, bytes] of [
      ['10.77.1.2', 4],
      ['fd77:1::2', 16],
    ] as const)
      assert.equal(spaces.run(spaces.connector, process.execPath, program, host), `${bytes} 99 apple\n`);
  });

  it('stays up when a destination has no route or nobody answers', async () => {
    assert.ok(spaces !== undefined);
    spaces.setPingGroupRange('0 0');
    const proxy = new ProxyProcess(spaces.connector, [], '10.77.1.1', 'fd77:1::1');
    assert.ok(await proxy.started());
    const echo = { source: '192.0.2.7', identifier: 1, sequence: 1, text: 'x' };
    proxy.send(request({ ...echo, destination: '203.0.113.1' }));
    proxy.send(request({ ...echo, destination: '10.77.1.99' }));
    proxy.send(request({ ...echo, destination: '255.255.255.255' }));
    proxy.send(request({ ...echo, destination: '10.77.1.2' }));
    await until('the one answer', () => proxy.packets.length === 1);
    assert.deepEqual(proxy.packets.map(describePacket), ['10.77.1.2 > 192.0.2.7 0 1 1 x']);
    await proxy.stop();
  });
});
