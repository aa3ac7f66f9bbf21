// Who uses an on-ramp, and the record of what he asks for.

import { formatHostPort } from '../net/address/host-port.ts';
import type { NetworkRecord } from '../store/contract/records.ts';
import type { FlowProtocol, FlowSubject, OnRamp } from './flows/flow.ts';
import { formatPrivateHost, type PrivateHost } from './routes/private-host.ts';

/** Who asks: an admitted visitor of one on-ramp, in the virtual network that it was admitted to. */
export interface Visitor {
  readonly onRamp: OnRamp;
  readonly network: NetworkRecord;
  /** Id of the API token that it came in with, where one was needed. */
  readonly tokenId?: string | undefined;
  /** Address text. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
}

/** A flow that a visitor asks for, before it begins. */
export function subjectOf(who: Visitor, protocol: FlowProtocol, host: PrivateHost, port: number): FlowSubject {
  return {
    onRamp: who.onRamp,
    protocol,
    accountTag: who.network.accountTag,
    networkId: who.network.id,
    tokenId: who.tokenId,
    sourceAddress: who.sourceAddress,
    sourcePort: who.sourcePort,
    destination: formatPrivateHost(host),
    destinationPort: port,
  };
}

/** Address and port of a visitor, as connectors are told. */
export function formatSource({ sourceAddress, sourcePort }: Visitor): string {
  return formatHostPort(sourceAddress, sourcePort);
}
