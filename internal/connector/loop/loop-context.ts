// What the connections of one connector share: identity, where the edge is, how to dial it, and the injected world.

import type { EdgeDirectory } from '../../discovery/edge-directory.ts';
import type { PosternError } from '../../errors/error.ts';
import type { ForwardProxy } from '../../net/proxy/forward-proxy.ts';
import type { Clock } from '../../net/time/clock.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConnectorConnection, ConnectorHandler, DialOptions, Protocol } from '../../transport/transport.ts';
import type { ProtocolPolicy } from '../protocol/protocol-policy.ts';
import type { ConnectionInfo, RegistrationFailure } from './connector-events.ts';
import type { OpenRegistration } from './registration.ts';

/** How the certificate of the edge is verified. */
export interface EdgeTrust {
  /** PEM roots; undefined = the system's. */
  readonly ca: readonly string[] | undefined;
  /** See DialOptions. */
  readonly caPin: string | undefined;
}

/** Who registers; the same for every connection of a connector. */
export interface ConnectorIdentity {
  readonly accountTag: string;
  /** UUID text. */
  readonly tunnelId: string;
  /** Never logged. */
  readonly tunnelSecret: Uint8Array;
  /** UUID text, new for every run. */
  readonly connectorId: string;
  readonly version: string;
  /** See platformName. */
  readonly platform: string;
}

/** How one connection is served. */
export interface ConnectionService {
  /** What the registration advertises; the service was made to match. */
  readonly features: readonly string[];
  readonly handler: ConnectorHandler;
}

/** What all connections of a connector share. */
export interface LoopContext {
  readonly identity: ConnectorIdentity;
  readonly directory: EdgeDirectory;
  /** Asked before every dial; rejects with 'config.invalid' for what only the user can mend. */
  readonly trust: () => Promise<EdgeTrust>;
  readonly dial: (protocol: Protocol, options: DialOptions) => Promise<ConnectorConnection>;
  readonly openRegistration: OpenRegistration;
  /** Serves the streams and datagrams of a connection; called once for each, before it registers. */
  readonly attach: (connection: ConnectorConnection, connIndex: number) => ConnectionService;
  /** UTF-8 JSON for updateLocalConfiguration, or undefined to send none. */
  readonly localConfiguration: () => Uint8Array | undefined;
  readonly policy: ProtocolPolicy;
  readonly logger: Logger;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly maxRetries: number;
  readonly gracePeriodMs: number;
  readonly bindAddress: string | undefined;
  /** The only way to the edge where there is one; it carries HTTP/2. */
  readonly proxy?: ForwardProxy | undefined;
  /** Port of visitors at which the edge takes connectors too; dialled where its own port is blocked. */
  readonly sharedPort?: number | undefined;
  readonly postQuantum: boolean;
  /** Whether any connection of this connector has ever registered. */
  readonly everRegistered: () => boolean;
}

export interface LoopEvents {
  connected: [ConnectionInfo];
  disconnected: [ConnectionInfo, error: unknown];
  registrationFailed: [RegistrationFailure];
  localConfiguration: [pushed: boolean];
  /** An error after which trying again cannot help. The loop has stopped. */
  fatal: [PosternError];
}
