// What a connector of the real program tells of its connections: protocol, group and path in the log at debug level and
// on its metrics interface, with post-quantum key exchange as a must.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

const number = '[0-9][0-9.e+-]*';

describe('figures of connections', () => {
  it('are logged and measured on both transports, with --post-quantum', async t => {
    const world = await TunnelWorld.open(t);
    for (const protocol of ['quic', 'http2']) {
      const connector = await world.connect({ protocol, connections: 2, flags: ['--post-quantum'] });
      const [line] = await connector.logged(/Figures of the connection .*connIndex=0.*/);
      assert.match(line, /group=X25519MLKEM768/);
      assert.deepEqual(line.match(/ protocol=\S+/g), [` protocol=${protocol}`]);
      assert.match(line, new RegExp(`rttMs=${number}`));
      const [, address] = await connector.logged(/Starting metrics server on (\S+)\/metrics/);
      const read = async (): Promise<string> => (await fetch(`http://${address}/metrics`)).text();
      await until('both connections', async () => (await read()).match(/^postern_connection_info/gm)?.length === 2);
      const text = await read();
      const expected = [
        `postern_connection_info{conn_index="1",protocol="${protocol}",group="X25519MLKEM768"} 1`,
        `postern_connection_rtt_seconds{conn_index="0"} ${number}`,
        `quic_client_total_connections ${protocol === 'quic' ? 2 : 0}`,
        'quic_client_closed_connections 0',
      ];
      const ofQuic = [
        ...['min_rtt', 'smoothed_rtt', 'latest_rtt', 'mtu', 'max_udp_payload', 'congestion_window', 'congestion_state'],
        ...['sent_bytes', 'receive_bytes'],
      ];
      if (protocol === 'quic')
        for (const name of ofQuic) expected.push(`quic_client_${name}{conn_index="0"} ${number}`);
      // What every connection has sent and got by now: its handshake, the control stream and acknowledgements.
      for (const frame of protocol === 'quic' ? ['Ack', 'Crypto', 'Stream'] : [])
        for (const way of ['sent', 'received'])
          expected.push(`quic_client_${way}_frames{conn_index="0",frame_type="${frame}"} [1-9][0-9]*`);
      for (const sample of expected)
        assert.match(text, new RegExp(`^${sample.replace(/[{}]/g, '\\$&')}$`, 'm'), `${sample} in\n${text}`);
      if (protocol === 'http2') assert.doesNotMatch(text, /^quic_client_mtu\{/m);
      connector.child.kill('SIGTERM');
      assert.equal(await connector.exited, 0);
    }
  });
});
