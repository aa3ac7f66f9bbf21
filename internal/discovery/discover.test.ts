import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { openTestDns, type TestDns } from '../../test/support/dns-server.ts';
import { createTestCa, type TestCa } from '../../test/support/test-ca.ts';
import { isPosternError } from '../errors/error.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { discoverEdge, srvName } from './discover.ts';
import { createDns } from './dns.ts';
import { createDnsOverTls } from './dns-over-tls.ts';
import { parseEdgeTarget } from './edge-address.ts';
import { EdgeDirectory } from './edge-directory.ts';
import { featuresRecordName, lookUpFeatures, lookUpProtocol, protocolRecordName } from './rollout.ts';
import { resolveStaticEdge } from './static-edge.ts';

const srv = (name: string, target: string, priority: number): Answer => ({
  type: 'SRV',
  name,
  data: { target, port: 7844, priority, weight: 1 },
});
const a = (name: string, data: string): Answer => ({ type: 'A', name, data });
const aaaa = (name: string, data: string): Answer => ({ type: 'AAAA', name, data });

const [region1, region2] = ['region1.v2.argotunnel.com', 'region2.v2.argotunnel.com'];

function edgeRecords(): Map<string, Answer[]> {
  const records = new Map<string, Answer[]>();
  for (const region of ['', 'us']) {
    const name = srvName(region);
    records.set(`SRV ${name}`, [srv(name, region2, 2), srv(name, region1, 1), srv(name, 'third.example', 3)]);
  }
  records.set(`A ${region1}`, [a(region1, '198.41.192.7'), a(region1, '198.41.192.27')]);
  records.set(`AAAA ${region1}`, [aaaa(region1, '2606:4700:a0::1')]);
  records.set(`A ${region2}`, [a(region2, '198.41.200.13')]);
  records.set(`A localedge.example`, [a('localedge.example', '127.0.0.1')]);
  records.set(`AAAA localedge.example`, [aaaa('localedge.example', '::1')]);
  records.set(`TXT ${protocolRecordName}`, [
    {
      type: 'TXT',
      name: protocolRecordName,
      data: ['[{"protocol":"quic","percentage":60},', '{"protocol":"http2","percentage":100}]'],
    },
  ]);
  records.set(`TXT ${featuresRecordName}`, [{ type: 'TXT', name: featuresRecordName, data: ['{"dv3_2":60}'] }]);
  return records;
}

const failed = (error: unknown): boolean => isPosternError(error, 'discovery.failed');
const logger = silentLogger();

describe('discovery against a local DNS server', () => {
  let ca: TestCa;
  let server: TestDns;
  let empty: TestDns;
  let silent: TestDns;
  before(async () => {
    ca = await createTestCa();
    server = await openTestDns({ records: edgeRecords(), tls: await ca.issue(['dot.example']) });
    empty = await openTestDns({ records: new Map(), tls: await ca.issue(['dot.example']) });
    silent = await openTestDns({ records: new Map(), tls: await ca.issue(['dot.example']), silent: true });
  });
  after(() => Promise.all([server.close(), empty.close(), silent.close()]));

  const plain = (from: TestDns) => createDns({ servers: [`127.0.0.1:${from.port}`], timeoutMs: 5_000 });
  const overTls = (from: TestDns, options: { serverName?: string; timeoutMs?: number } = {}) =>
    createDnsOverTls({
      host: '127.0.0.1',
      port: from.tlsPort,
      serverName: options.serverName ?? 'dot.example',
      ca: [ca.cert],
      timeoutMs: options.timeoutMs ?? 5_000,
    });

  const expected = [
    [
      { ip: '198.41.192.7', port: 7844, family: 4 },
      { ip: '198.41.192.27', port: 7844, family: 4 },
      { ip: '2606:4700:a0::1', port: 7844, family: 6 },
    ],
    [{ ip: '198.41.200.13', port: 7844, family: 4 }],
  ];

  it('finds both regions, in order of priority', async () => {
    const regions = await discoverEdge({ dns: plain(server), fallback: overTls(empty), random: Math.random, logger });
    assert.deepEqual(regions, expected);
  });

  it('asks for the records of a region', async () => {
    const from = server.seen.length;
    await discoverEdge({ dns: plain(server), fallback: overTls(empty), region: 'us', random: Math.random, logger });
    assert.ok(server.seen.slice(from).includes('udp SRV _us-v2-origintunneld._tcp.argotunnel.com'));
  });

  it('falls back to DNS over TLS, also for the addresses', async () => {
    const from = server.seen.length;
    const regions = await discoverEdge({ dns: plain(empty), fallback: overTls(server), random: Math.random, logger });
    assert.deepEqual(regions, expected);
    assert.ok(server.seen.slice(from).every(line => line.startsWith('tls ')));
  });

  it('keeps the first error when the fallback finds nothing either', async () => {
    await assert.rejects(
      discoverEdge({ dns: plain(empty), fallback: overTls(empty), random: Math.random, logger }),
      (error: unknown) =>
        failed(error) &&
        error instanceof Error &&
        /_v2-origintunneld/.test(error.message) &&
        isPosternError(error.cause),
    );
  });

  it('goes on with one region while the other has no addresses', async () => {
    const records = edgeRecords();
    records.delete(`A ${region2}`);
    const half = await openTestDns({ records });
    try {
      const regions = await discoverEdge({ dns: plain(half), fallback: overTls(empty), random: Math.random, logger });
      assert.deepEqual(regions, [expected[0], []]);
    } finally {
      await half.close();
    }
  });

  it('wants two SRV records', async () => {
    const name = srvName('');
    const one = await openTestDns({ records: new Map([[`SRV ${name}`, [srv(name, region1, 1)]]]) });
    try {
      await assert.rejects(
        discoverEdge({ dns: plain(one), fallback: overTls(empty), random: Math.random, logger }),
        /at least 2 regions/,
      );
    } finally {
      await one.close();
    }
  });

  it('verifies the name of the DNS-over-TLS server', async () => {
    await assert.rejects(overTls(server, { serverName: 'other.example' }).srv(srvName('')), failed);
  });

  it('gives up on a DNS-over-TLS server that says nothing', async () => {
    await assert.rejects(overTls(silent, { timeoutMs: 50 }).srv(srvName('')), /within 50 ms/);
  });

  it('gives up on a resolver that says nothing', async () => {
    await assert.rejects(createDns({ servers: [`127.0.0.1:${silent.port}`], timeoutMs: 50 }).srv(srvName('')), failed);
  });

  it('reports a server that is not there', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    await new Promise(resolve => gone.close(resolve));
    const dns = createDnsOverTls({
      host: '127.0.0.1',
      port,
      serverName: 'dot.example',
      ca: [ca.cert],
      timeoutMs: 5_000,
    });
    await assert.rejects(dns.txt('x.example'), failed);
  });

  it('reads the TXT records over both', async () => {
    for (const dns of [plain(server), overTls(server)]) {
      assert.equal(await lookUpProtocol(dns, 'testAccountTag'), 'quic');
      assert.equal(await lookUpProtocol(dns, '123456'), 'http2');
      assert.deepEqual(await lookUpFeatures(dns, 'testAccountTag'), { datagramV3: true, skipPrechecks: false });
    }
    await assert.rejects(lookUpProtocol(plain(empty), 'x'), failed);
  });

  it('resolves static entries, IPv4 of a name that has both, and skips what does not resolve', async () => {
    const regions = await resolveStaticEdge(
      ['localedge.example:7001', 'missing.example:7002', '[::1]:7003', '10.0.0.4:7004'].map(parseEdgeTarget),
      plain(server),
      logger,
    );
    assert.deepEqual(regions, [
      [
        { ip: '127.0.0.1', port: 7001, family: 4 },
        { ip: '10.0.0.4', port: 7004, family: 4 },
      ],
      [{ ip: '::1', port: 7003, family: 6 }],
    ]);
    await assert.rejects(
      resolveStaticEdge([parseEdgeTarget('missing.example:7002')], plain(server), logger),
      /Failed to resolve any edge address/,
    );
  });

  it('the directory looks up once for all connections, and again when addresses fail', async () => {
    const clock = { ms: 0 };
    let finds = 0;
    const found = Promise.withResolvers<void>();
    const directory = new EdgeDirectory({
      find: () => {
        finds += 1;
        if (finds === 2) found.resolve();
        return resolveStaticEdge([{ host: `10.0.0.${finds}`, port: 7844 }], plain(server), logger);
      },
      version: 'auto',
      share: true,
      random: () => 0,
      nowMs: () => clock.ms,
      logger,
    });
    try {
      const [first, second] = await Promise.all([directory.acquire(0, false), directory.acquire(1, false)]);
      assert.equal(first.ip, '10.0.0.1');
      assert.equal(second.ip, '10.0.0.1');
      assert.equal(finds, 1);
      directory.refresh();
      assert.equal(finds, 1, 'too soon after the last look-up');
      clock.ms = 30_000;
      directory.refresh();
      await found.promise;
      let ip = '10.0.0.1';
      while (ip === '10.0.0.1') {
        await new Promise(resolve => setImmediate(resolve));
        ip = (await directory.acquire(0, false)).ip;
      }
      assert.equal(ip, '10.0.0.2');
    } finally {
      directory.close();
    }
  });
});
