// What a connector tells the rest of the program: telemetry, health, and whoever embeds it.

import type { Protocol } from '../../transport/transport.ts';

export interface ConnectionInfo {
  readonly connIndex: number;
  /** UUID text that the edge gave. */
  readonly connectionId: string;
  readonly location: string;
  readonly protocol: Protocol;
  /** IP address of the edge. */
  readonly ip: string;
}

export interface RegistrationFailure {
  readonly connIndex: number;
  /** Label of the failure metric: the two of cloudflared, or our error code. */
  readonly reason: string;
}

/** Event name → arguments of its listeners. Listeners must not throw. */
export interface ConnectorEvents {
  connected: [ConnectionInfo];
  /** Once for every 'connected'; also when draining begins. */
  disconnected: [ConnectionInfo, error: unknown];
  /** Number of registered connections, after each change. */
  ready: [count: number];
  registrationFailed: [RegistrationFailure];
  /** A push of the local configuration to the edge, and whether it took it. */
  localConfiguration: [pushed: boolean];
}
