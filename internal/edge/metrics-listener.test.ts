// The edge's metrics as a scraper sees them, after visitors of several on-ramps came by.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { encode } from 'dns-packet';
import { addressHost } from '../../test/support/address-host.ts';
import { EdgeWorld, openWorld } from '../../test/support/edge-world.ts';
import { listen } from '../../test/support/origin-server.ts';
import { until, within } from '../../test/support/wait.ts';
import { readExactly } from '../net/stream/read-exactly.ts';
import type { ListenAddress } from './options.ts';

const any = { host: '127.0.0.1', port: 0 } as const;

async function get({ host, port }: ListenAddress, path: string, headers: Record<string, string> = {}) {
  const call = request({ host, port, path, headers, agent: false });
  call.end();
  const [response] = await once(call, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode as number, text, type: String(response.headers['content-type']) };
}

/** Sends SOCKS messages and reads so many bytes of the answer. */
async function socks(t: TestContext, port: number | undefined, bytes: readonly number[], answer: number) {
  const socket = connect(port ?? 0, '127.0.0.1');
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  socket.write(Buffer.from(bytes));
  return { socket, reply: await within('an answer', readExactly(socket, answer)) };
}

describe('metrics of an edge', () => {
  it('tell what the on-ramps did, in bounded labels', async t => {
    const resolver = { host: addressHost('10.0.0.53'), port: 53 };
    const { edge } = await EdgeWorld.open(t, {
      metrics: any,
      version: '1.2.3',
      onRamps: { socks: { ...any, open: true }, dns: [{ ...any, vnet: 'default', resolver }] },
    });
    const { metrics, privateServices } = edge;
    if (metrics === undefined) assert.fail('no metrics');
    const scrape = async (): Promise<readonly string[]> => (await get(metrics, '/metrics')).text.split('\n');
    const before = await scrape();
    assert.ok(before.includes('postern_connector_connections 0'), before.join('\n'));
    assert.ok(
      before.some(line => /^build_info\{goversion="node v\d+.*type="postern".*version="1\.2\.3"\} 1$/.test(line)),
    );

    const { socksPort } = privateServices;
    assert.equal((await socks(t, socksPort, [5, 1, 0, 5, 1, 0, 1, 10, 9, 9, 9, 0, 80], 12)).reply[3], 2);
    const { socket, reply } = await socks(t, socksPort, [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0], 12);
    const client = createSocket('udp4');
    t.after(() => client.close());
    const header = [0, 0, 0, 1, 10, 9, 9, 9, 0, 53];
    for (const datagram of [header, header, [0, 0, 1, ...header.slice(3)], [0]])
      client.send(Buffer.from(datagram), reply.readUInt16BE(10), '127.0.0.1');
    const query = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'db.internal' }] });
    client.send(query, privateServices.dnsPorts[0] ?? 0, '127.0.0.1');
    const wanted = [
      'postern_flows_denied_total{on_ramp="socks",reason="no-route"} 2',
      'postern_flows_denied_total{on_ramp="dns",reason="no-route"} 1',
      'postern_socks_associations 1',
      'postern_socks_associations_total 1',
      'postern_socks_datagrams_dropped_total{reason="refused"} 2',
      'postern_socks_datagrams_dropped_total{reason="malformed"} 2',
      'postern_dns_queries_total{vnet="default"} 1',
      'postern_dns_outcomes_total{vnet="default",outcome="failed"} 1',
      'postern_names_total{outcome="found"} 0',
      'postern_echo_requests_total{result="reply"} 0',
      'postern_datagrams_dropped_total{kind="udp",reason="send_full"} 0',
    ];
    await until(
      'all figures',
      async () => {
        const lines = await scrape();
        return wanted.every(line => lines.includes(line));
      },
      5_000,
    ).catch(async () => assert.deepEqual(await scrape(), wanted));
    socket.destroy();
    await until('the association’s end', async () => (await scrape()).includes('postern_socks_associations 0'));
    // No figure is named after what visitors ask for.
    assert.doesNotMatch((await get(metrics, '/metrics')).text, /10\.9\.9\.9|db\.internal/);
  });

  it('are there for the machine’s operator only, with health', async t => {
    const { edge } = await EdgeWorld.open(t, { metrics: any });
    if (edge.metrics === undefined) assert.fail('no metrics');
    assert.match((await get(edge.metrics, '/metrics')).type, /^text\/plain; version=0\.0\.4/);
    assert.equal((await get(edge.metrics, '/ready')).text, '{"status":200,"connections":0}');
    assert.equal((await get(edge.metrics, '/healthcheck')).text, 'OK\n');
    assert.equal((await get(edge.metrics, '/')).status, 404);
    assert.equal((await get(edge.metrics, '/metrics', { host: 'rebound.example' })).status, 403);
    const none = await EdgeWorld.open(t);
    assert.equal(none.edge.metrics, undefined);
  });

  it('are not ready while the store does not answer', async t => {
    const { edge } = await EdgeWorld.open(t, { metrics: any });
    const metrics = edge.metrics ?? assert.fail('no metrics');
    await edge.store.close();
    const broken = await get(metrics, '/ready');
    assert.equal(broken.status, 503);
    assert.match(broken.text, /^\{"status":503,"connections":0,"reason":"[^"]*edge\.db is closed/);
    // The process is alive all the same.
    assert.equal((await get(metrics, '/healthcheck')).status, 200);
  });

  it('are not ready while the edge waits for running requests to stop', async t => {
    const asked = Promise.withResolvers<ServerResponse>();
    const origin = await listen(
      t,
      createServer((_request, response) => asked.resolve(response)),
    );
    const { world, tunnel } = await openWorld(t, origin, { edge: { metrics: any, gracePeriodMs: 20_000 } });
    const metrics = world.edge.metrics ?? assert.fail('no metrics');
    assert.equal((await get(metrics, '/ready')).text, '{"status":200,"connections":1}');
    const answer = get({ host: '127.0.0.1', port: world.httpPort }, '/', { host: tunnel.host });
    const response = await asked.promise;
    const stopped = world.edge.stop();
    assert.match((await get(metrics, '/ready')).text, /"status":503.*The edge is stopping/);
    response.end('done');
    assert.equal((await answer).text, 'done');
    await stopped;
  });
});
