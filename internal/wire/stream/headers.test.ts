import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { withoutHopByHop } from '../../net/http/hop-by-hop.ts';
import { advertisedFeatures, chooseDatagramVersion, datagramVersionOf } from '../features.ts';
import { classifyStream, requestPreamble, rpcPreamble } from './preamble.ts';
import { classifyRequest } from './upgrade-header.ts';

describe('features', () => {
  it('v3 datagrams win over v2, which is always advertised', () => {
    const v3 = advertisedFeatures({ requested: [], postQuantum: true, managementLogs: false, datagramVersion: 3 });
    assert.ok(v3.includes('support_datagram_v2') && v3.includes('postquantum'));
    assert.equal(datagramVersionOf(v3), 3);
    assert.deepEqual(v3.slice(-2), ['support_datagram_v3_2', 'postern_v3_idle_time']);
    const v2 = advertisedFeatures({
      requested: ['support_datagram_v3', 'mine', 'serialized_headers'],
      postQuantum: false,
      managementLogs: true,
      datagramVersion: 2,
    });
    assert.equal(datagramVersionOf(v2), 2);
    assert.ok(!v3.includes('management_logs'));
    assert.deepEqual(v2.slice(4), ['postern_control_ends_first', 'mine', 'management_logs']);
  });

  it('the user chooses before the account does', () => {
    assert.equal(chooseDatagramVersion(['support_datagram_v3_2', 'support_datagram_v2'], false), 3);
    assert.equal(chooseDatagramVersion(['support_datagram_v2'], true), 2);
    assert.equal(chooseDatagramVersion([], true), 3);
    assert.equal(chooseDatagramVersion(['other'], false), 2);
  });
});

describe('kind of a request', () => {
  it('follows the order of the recorded connector', () => {
    assert.equal(classifyRequest('update-configuration', 'x'), 'configuration');
    assert.equal(classifyRequest('websocket', 'x'), 'websocket');
    assert.equal(classifyRequest('control-stream', '10.0.0.1'), 'tcp');
    assert.equal(classifyRequest('control-stream', ''), 'control');
    assert.equal(classifyRequest('Control-Stream', undefined), 'http');
    assert.equal(classifyRequest(undefined, undefined), 'http');
  });
});

describe('kind of a QUIC stream', () => {
  it('is known after six bytes, and refused at the first wrong one', () => {
    for (const [kind, preamble] of [
      ['request', requestPreamble],
      ['rpc', rpcPreamble],
    ] as const) {
      for (let length = 0; length < 6; length += 1)
        assert.equal(classifyStream(preamble.subarray(0, length)), undefined);
      assert.equal(classifyStream(preamble), kind);
      for (let index = 0; index < 6; index += 1) {
        const wrong = Uint8Array.from(preamble);
        wrong[index] = 0xff;
        assert.throws(
          () => classifyStream(wrong.subarray(0, index + 1)),
          error => isPosternError(error, 'protocol.malformed'),
        );
      }
    }
  });
});

describe('hop-by-hop headers', () => {
  it('are dropped with those that Connection names', () => {
    const headers = ['Host', 'a', 'Connection', 'close, X-Mine', 'x-mine', '1', 'TE', 'trailers', 'X-Other', '2'];
    assert.deepEqual(withoutHopByHop(headers), ['Host', 'a', 'X-Other', '2']);
  });

  it('cost nothing when there are none', () => {
    const headers = ['Host', 'a', 'Accept', '*/*'];
    assert.equal(withoutHopByHop(headers), headers);
  });
});
