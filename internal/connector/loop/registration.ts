// What the connector asks of the control stream's RPC client, and the fixed parts of a registration: platform and
// local address. Source: docs/protocol/edge-protocol.md §8.1.

import type { Duplex } from 'node:stream';
import { parseIp } from '../../net/address/ip.ts';
import type { ConnectionDetails, RegistrationRequest } from '../../wire/rpc/registration.ts';

/** One control stream; RegistrationClient of rpc is the implementation. Rejections as documented there. */
export interface RegistrationSession {
  registerConnection(request: RegistrationRequest): Promise<ConnectionDetails>;
  updateLocalConfiguration(json: Uint8Array): Promise<void>;
  unregisterConnection(timeoutMs: number): Promise<void>;
  /** Settles when the conversation is over, whoever ended it; never rejects. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Takes the stream over. */
export type OpenRegistration = (control: Duplex) => RegistrationSession;

/** An IP address in the 16 bytes of `originLocalIp`; empty when `ip` is not one. A zone is dropped. */
export function encodeLocalIp(ip: string): Uint8Array {
  const bytes = parseIp(ip.replace(/%.*$/, ''));
  if (bytes === undefined) return new Uint8Array(0);
  if (bytes.length === 16) return Uint8Array.from(bytes);
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff], 10);
  mapped.set(bytes, 12);
  return mapped;
}
