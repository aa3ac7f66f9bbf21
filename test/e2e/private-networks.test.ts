// Private networks end to end: real programs in network namespaces, two networks with the same addresses, and the tools
// that people use: ping, traceroute, dig, curl, UDP through SOCKS.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { PrivateLab } from '../support/private-lab.ts';
import { openSocksUdp, type SocksUdp } from '../support/socks-udp.ts';
import { haveTools } from '../support/tools.ts';
import { until, within } from '../support/wait.ts';

const run = promisify(execFile);
const echoPort = 7;

/** Lab and tests share one `it` each: a lab is five namespaces and five programs, which two cores start in seconds. */
describe('private networks in namespaces', () => {
  it('keep two networks with the same addresses apart, over every on-ramp', async t => {
    const lab = await PrivateLab.open(t, { mtuB: 1280 });
    if (lab === undefined) return;
    const [a, b] = await Promise.all([lab.connect('a'), lab.connect('b')]);
    assert.match(a.log(), /protocol=quic/);

    await t.test('ping reaches both addresses, of both families, of its own network', async () => {
      for (const [address, vnet] of [
        ['10.1.0.2', 'default'],
        ['10.1.0.3', 'office'],
        ['fd10:1::2', 'default'],
      ] as const) {
        const { code, stdout, stderr } = await lab.postern('ping', '-c', '3', '-i', '0.2', '--vnet', vnet, address);
        assert.equal(code, 0, `${stdout}\n${stderr}`);
        // The host's own, whether the connector's socket is raw or, as in the other network, a ping socket.
        assert.match(stdout, new RegExp(`64 bytes from ${address}: icmp_seq=1 ttl=64 time=`));
        assert.match(stdout, /3 packets transmitted, 3 received, 0% packet loss/);
      }
      const absent = await lab.postern('ping', '-c', '1', '10.1.0.9');
      assert.equal(absent.code, 1);
      assert.match(absent.stdout, /0 received, 100% packet loss/);
      const outside = await lab.postern('ping', '-c', '1', '10.2.0.1');
      assert.match(outside.stdout, /No route of the virtual network default leads to 10\.2\.0\.1/);
      // The route is in one network only.
      assert.equal((await lab.postern('ping', '-c', '1', '--vnet', 'office', 'fd10:1::2')).code, 1);
    });

    await t.test('pings at once get their own replies', async () => {
      const all = await Promise.all(
        ['default', 'office', 'default', 'office'].map(vnet =>
          lab.postern('ping', '-c', '3', '-i', '0.2', '--vnet', vnet, '10.1.0.2'),
        ),
      );
      for (const { stdout } of all) assert.match(stdout, /3 received, 0% packet loss/);
    });

    await t.test('traceroute shows the connector, then the host', async () => {
      const { code, stdout } = await lab.postern('traceroute', '10.1.0.2');
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^ 1 {2}10\.1\.0\.1( {2}[\d.]+ ms){3}\n 2 {2}10\.1\.0\.2( {2}[\d.]+ ms){3}\n$/m);
    });

    await t.test('curl gets the host of its network through SOCKS5 and CONNECT', async () => {
      if (!(await haveTools(t, 'curl'))) return;
      const get = async (proxy: readonly string[], address: string): Promise<string> =>
        (await run('curl', ['--silent', '--show-error', '--max-time', '20', ...proxy, `http://${address}/`])).stdout;
      const socks = (vnet: string) => [
        ...['--socks5-hostname', `${lab.address}:${lab.ports.socks}`],
        ...['--proxy-user', `${vnet}:${lab.token}`],
      ];
      const connect = (vnet: string) => [
        ...['--proxytunnel', '--proxy', `http://${lab.address}:${lab.ports.httpProxy}`],
        ...['--proxy-user', `${vnet}:${lab.token}`],
      ];
      for (const through of [socks, connect]) {
        assert.equal(await get(through('default'), '10.1.0.2'), 'A 10.1.0.2');
        assert.equal(await get(through('default'), '10.1.0.3'), 'A 10.1.0.3');
        assert.equal(await get(through('office'), '10.1.0.2'), 'B 10.1.0.2');
        assert.equal(await get(through('default+local'), '[fd10:1::2]'), 'A fd10:1::2');
        await assert.rejects(() => get(through('office'), '[fd10:1::2]'));
        // The connector's own machine, which its address in the private network does name.
        await assert.rejects(() => get(through('default'), '127.0.0.1'));
      }
      await assert.rejects(() => get(['--socks5-hostname', `${lab.address}:${lab.ports.socks}`], '10.1.0.2'));
    });

    await t.test('dig gets answers of the resolver of each network, over UDP and TCP', async () => {
      if (!(await haveTools(t, 'dig'))) return;
      const dig = async (port: number, ...more: readonly string[]): Promise<string> => {
        const args = [
          `@${lab.address}`,
          '-p',
          `${port}`,
          '+short',
          '+tries=2',
          '+time=5',
          ...more,
          'who.internal',
          'TXT',
        ];
        return (await run('dig', args)).stdout.trim();
      };
      for (const more of [[], ['+tcp']]) {
        assert.equal(await dig(lab.ports.dns, ...more), '"A 10.1.0.2"');
        assert.equal(await dig(lab.ports.dnsOffice, ...more), '"B 10.1.0.3"');
      }
    });

    await t.test('names lead where the resolver of each network says', async t => {
      if (!(await haveTools(t, 'curl'))) return;
      for (const [vnet, label, address] of [
        ['default', 'A', '10.1.0.2'],
        ['office', 'B', '10.1.0.3'],
      ] as const) {
        const { code, stdout, stderr } = await lab.postern('ping', '-c', '1', '--vnet', vnet, 'who.internal');
        assert.equal(code, 0, `${stdout}\n${stderr}`);
        assert.match(
          stdout,
          new RegExp(`^PING who\\.internal \\(${address}\\): 56 data bytes\\n64 bytes from ${address}: `),
        );
        const proxy: string[] = ['--socks5-hostname', `${lab.address}:${lab.ports.socks}`, '--proxy-user'];
        const args: string[] = [
          '--silent',
          '--max-time',
          '20',
          ...proxy,
          `${vnet}:${lab.token}`,
          'http://who.internal/',
        ];
        const page = await run('curl', args);
        assert.equal(page.stdout, `${label} ${address}`);
      }
    });

    await t.test('UDP goes both ways in both networks at once, and a narrow path drops what is too large', async () => {
      const [one, two, third] = await Promise.all([
        associate(t, lab, 'default', '10.1.0.2'),
        associate(t, lab, 'office', '10.1.0.2'),
        associate(t, lab, 'default', '10.1.0.3'),
      ]);
      const clients = [one, two, third];
      // While a flow is being opened only a first flight is held.
      for (const client of clients) client.send(Buffer.from('open'));
      await until('open flows', () => clients.every(client => client.received.length === 1));
      for (const client of clients) client.received.length = 0;
      const rounds = 100;
      const burst = 10;
      for (let round = 1; round <= rounds; round += 1) {
        for (const [index, client] of clients.entries())
          for (let item = 0; item < burst; item += 1) client.send(Buffer.alloc(1_000, `${index} ${round} ${item};`));
        await until(
          `most echoes of round ${round}`,
          () => clients.every(client => client.received.length >= 0.9 * round * burst),
          10_000,
        );
      }
      // On wires that lose nothing; what is left out is for queues on a machine that is busy.
      await until('the last echoes', () => clients.every(client => client.received.length >= 0.98 * rounds * burst));
      for (const [index, client] of clients.entries()) {
        assert.ok(
          client.received.every(payload => payload.length === 1_000 && payload.toString().startsWith(`${index} `)),
        );
      }
      // 1,280 bytes fit where discovery has raised the path's size, and never on a link of 1,280 bytes.
      await until('a large datagram over the wide path', async () => {
        one.send(Buffer.alloc(1_280, 'W'));
        await new Promise(resolve => setTimeout(resolve, 50));
        return one.received.some(payload => payload.length === 1_280);
      });
      for (let index = 0; index < 5; index += 1) two.send(Buffer.alloc(1_280, 'N'));
      two.send(Buffer.from('still alive'));
      await until('the session after it', () =>
        two.received.some(payload => payload.equals(Buffer.from('still alive'))),
      );
      assert.ok(!two.received.some(payload => payload.length === 1_280));
      for (const client of clients) client.close();
      await until('the flows’ ends', () => endedUdpFlows(lab) >= 3);
    });

    b.child.kill('SIGTERM');
    assert.equal(await within('the exit of b', b.exited), 0);

    await t.test('over HTTP/2 there is TCP, and neither UDP nor ping', async () => {
      if (!(await haveTools(t, 'curl'))) return;
      await lab.connect('b', '--protocol', 'http2');
      const proxy = ['--socks5-hostname', `${lab.address}:${lab.ports.socks}`, '--proxy-user', `office:${lab.token}`];
      const { stdout } = await run('curl', ['--silent', '--max-time', '20', ...proxy, 'http://10.1.0.3/']);
      assert.equal(stdout, 'B 10.1.0.3');
      const ping = await lab.postern('ping', '-c', '1', '--vnet', 'office', '10.1.0.2');
      assert.equal(ping.code, 1);
      assert.match(ping.stdout, /no connector carries packets/);
    });
  });

  it('survive the death of a connector while another one of the tunnel lives', async t => {
    const lab = await PrivateLab.open(t);
    if (lab === undefined) return;
    const [first, second] = [await lab.connect('a'), await lab.connect('a')];
    const udp = await associate(t, lab, 'default', '10.1.0.2');
    // Flows on both connectors: whichever dies takes some along.
    const more = await Promise.all([1, 2, 3].map(() => associate(t, lab, 'default', '10.1.0.3')));
    const clients = [udp, ...more];
    const echoes = async (text: string): Promise<void> => {
      const payload = Buffer.from(text);
      await until(
        `every echo of ${text}`,
        async () => {
          for (const client of clients) if (!client.received.some(item => item.equals(payload))) client.send(payload);
          await new Promise(resolve => setTimeout(resolve, 50));
          return clients.every(client => client.received.some(item => item.equals(payload)));
        },
        30_000,
      );
    };
    await echoes('before');
    first.child.kill('SIGKILL');
    await first.exited;
    await echoes('after');
    const { stdout } = await lab.postern('ping', '-c', '2', '-i', '0.2', '10.1.0.2');
    assert.match(stdout, /2 received, 0% packet loss/);
    second.child.kill('SIGKILL');
    await second.exited;
    await until(
      'no connection',
      () => /Connector connection (lost|closed)[\s\S]*$/.test(lab.edge.log()) && lostConnections(lab) >= 4,
    );
    await until('the flows’ ends', () => endedUdpFlows(lab) >= clients.length, 60_000);
    const alone = await lab.postern('ping', '-c', '1', '10.1.0.2');
    assert.equal(alone.code, 1);
    assert.match(alone.stdout, /no connector carries packets/);
    lab.edge.child.kill('SIGTERM');
    assert.equal(await within('the exit of the edge', lab.edge.exited), 0);
  });

  it('end at the connector for its own machine, unless its operator allows it, datagrams v2 like v3', async t => {
    const lab = await PrivateLab.open(t);
    if (lab === undefined) return;
    const route = await lab.postern('tunnel', 'route', 'ip', 'add', '127.0.0.0/8', 'a');
    assert.equal(route.code, 0, route.stderr);
    const guarded = await lab.connect('a');
    assert.equal((await lab.postern('ping', '-c', '1', '-W', '0.5', '127.0.0.1')).code, 1);
    const refused = await associate(t, lab, 'default', '127.0.0.1');
    refused.send(Buffer.from('anybody there?'));
    await guarded.logged(/flow registration failure: destination-refused/);
    guarded.child.kill('SIGTERM');
    assert.equal(await within('the exit', guarded.exited), 0);
    await lab.connect('a', '--allow-destination', '127.0.0.0/8', '--features', 'support_datagram_v2');
    const { stdout } = await lab.postern('ping', '-c', '2', '-i', '0.2', '127.0.0.1');
    assert.match(stdout, /2 received, 0% packet loss/);
    const udp = await associate(t, lab, 'default', '10.1.0.2');
    await until('an echo', () => {
      udp.send(Buffer.from('over v2'));
      return udp.received.some(payload => String(payload) === 'over v2');
    });
  });
});

function associate(t: TestContext, lab: PrivateLab, user: string, address: string): Promise<SocksUdp> {
  const proxy = { host: lab.address, port: lab.ports.socks, user, password: lab.token };
  return openSocksUdp(t, proxy, { address, port: echoPort });
}

function endedUdpFlows(lab: PrivateLab): number {
  return lab.edge.log().match(/Flow ended .*onRamp=socks .*protocol=udp/g)?.length ?? 0;
}

function lostConnections(lab: PrivateLab): number {
  return lab.edge.log().match(/Connector connection (lost|closed)/g)?.length ?? 0;
}
