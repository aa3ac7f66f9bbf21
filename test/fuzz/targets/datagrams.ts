// Datagrams of both versions and the IP packets in them. These decoders report problems instead of throwing.

import assert from 'node:assert/strict';
import { IcmpPacketView } from '../../../internal/net/packet/packet-icmp.ts';
import { DatagramV2View, datagramV2Type, writeUdpSuffixV2 } from '../../../internal/wire/datagram/datagram-v2.ts';
import { DatagramV3View } from '../../../internal/wire/datagram/datagram-v3.ts';
import { recordedDatagrams } from '../../support/recorded-datagrams.ts';
import type { FuzzTarget } from '../target.ts';

const recorded = (version: 2 | 3): Uint8Array[] =>
  recordedDatagrams(`quic-datagram-v${version}.json`).map(datagram => datagram.bytes);

/** Reads every property of a view, as its users do. */
function readAll(view: object): void {
  for (let owner: unknown = view; owner !== null && owner !== Object.prototype; owner = Object.getPrototypeOf(owner))
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(owner as object)))
      if (property.get !== undefined) void Reflect.get(view, name);
}

const version2: FuzzTarget = {
  name: 'datagrams v2',
  seeds: () => recorded(2),
  run(input) {
    const view = new DatagramV2View();
    if (view.decode(input) !== undefined) return;
    readAll(view);
    assert.ok(view.bodyBytes >= 0 && view.bodyBytes < input.length);
    if (view.type !== datagramV2Type.udp) return;
    const again = Buffer.from(input);
    writeUdpSuffixV2(again, view.bodyBytes, Uint8Array.from(input.subarray(view.bodyBytes, -1)));
    assert.deepEqual(again, input);
  },
};

const version3: FuzzTarget = {
  name: 'datagrams v3',
  seeds: () => recorded(3),
  run(input) {
    const view = new DatagramV3View();
    if (view.decode(input) === undefined) readAll(view);
  },
};

const packets: FuzzTarget = {
  name: 'ICMP packets',
  seeds: () =>
    recorded(3)
      .filter(datagram => datagram[0] === 2)
      .map(datagram => datagram.subarray(1)),
  run(input) {
    const view = new IcmpPacketView();
    if (view.decode(input) !== undefined) return;
    readAll(view);
    assert.ok(view.icmpAt <= input.length && view.destinationAt + view.addressBytes <= view.icmpAt);
  },
};

export const datagramTargets: readonly FuzzTarget[] = [version2, version3, packets];
