// One accepted connection from its first byte to its end: authenticate the registration, detect duplicates, push the
// remote configuration, drain when it unregisters. Source: docs/protocol/edge-protocol.md §7.3, §8, §11, §13.2.

import { randomUUID } from 'node:crypto';
import { describeError, PosternError } from '../errors/error.ts';
import type { AddressLimiter, AddressLimits } from '../net/limits/address-limiter.ts';
import { serveRegistration } from '../rpc/registration-server.ts';
import { parseTunnelId, type TunnelId } from '../schema/api/id.ts';
import { authenticateTunnel } from '../store/authenticate-tunnel.ts';
import type { Store } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import { datagramVersionOf } from '../wire/features.ts';
import {
  duplicateConnectionCause,
  type RegistrationRequest,
  type RegistrationResult,
} from '../wire/rpc/registration.ts';
import { ConfigurationSender } from './configuration-sender.ts';
import { addressOnly, type ConnectorRegistry, type RegisteredConnection } from './connector-registry.ts';

export interface ServeConnectorOptions {
  readonly store: Store;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  /** Name of this edge's place, shown to connectors and in the API. */
  readonly location: string;
  /** Whether the edge is stopping: new registrations are sent elsewhere. */
  readonly isDraining: () => boolean;
  /** How long running requests may take once a connection unregistered. */
  readonly drainTimeoutMs: number;
  /** Default: 1,024, as 256 connectors with four connections each. */
  readonly maxConnectionsPerTunnel?: number | undefined;
  /** Told of each registration with a secret that has been replaced and is good for a while yet. */
  readonly onOldSecret?: ((tunnelId: TunnelId) => void) | undefined;
  /** Shared by all connections of the edge: those that have not registered yet. */
  readonly unregistered: AddressLimiter;
}

/**
 * For `unregistered`. Each costs some 100 KiB for at most ten seconds; 64 connectors behind one address may come back at
 * the same moment.
 */
export const unregisteredLimits: AddressLimits = { total: 1_024, perAddress: 256 };

/** A live peer answers a ping in this time; a registration has 5 s in all (docs/protocol/edge-protocol.md §7.4). */
const duplicatePingMs = 1_500;
/** How long the answer to a refused registration may take to get out. */
const refusalFlushMs = 1_000;
/** Each costs some 100 KiB. */
export const defaultConnectionsPerTunnel = 1_024;
/** When a connector that found its tunnel full may ask again. */
const fullRetryMs = 30_000;
/** What is kept of a connector's version, architecture and of each of its features; known ones take a quarter. */
const maxTextLength = 128;
/** Longest local configuration kept in mind to read; larger ones are answered and ignored. */
const maxLocalConfigBytes = 1 << 20;

/** Takes the connection over; never throws. */
export function serveConnector(connection: EdgeConnection, options: ServeConnectorOptions): void {
  const { registry, store } = options;
  const logger = options.logger.child({ remote: connection.remoteAddress, protocol: connection.protocol });
  const release = options.unregistered.admit(addressOnly(connection.remoteAddress));
  if (release === undefined) {
    logger.warn('Too many connections wait for their registration: one more was closed');
    connection.abort(new PosternError('connection.closed', 'Too many unregistered connections.'));
    return;
  }
  let registered: RegisteredConnection | undefined;
  let ended = false;
  // The answer goes out first. A connector that was refused keeps its connection and waits for us to close it (§8.3).
  const endRefused = (): void => void setImmediate(() => void connection.drain(refusalFlushMs));

  /** Read once changes of the store reach the connection: what happened before is in it, what happens later comes by itself. */
  const catchUp = async ({ tunnelId, configurations }: RegisteredConnection): Promise<{ remote: boolean }> => {
    const [secret, configuration] = await Promise.all([
      store.tunnels.secret(tunnelId),
      store.tunnels.configuration(tunnelId),
    ]);
    if (secret === undefined) throw new PosternError('credentials.refused', `Tunnel ${tunnelId} was deleted.`);
    if (configuration !== undefined) configurations.offer(configuration);
    return { remote: secret.remote || configurations.offered > 0 };
  };

  const register = async (request: RegistrationRequest): Promise<RegistrationResult> => {
    if (options.isDraining()) return refusal('edge is draining', 1_000);
    const { tunnelId, isOld } = await authorize(request, store, logger);
    if (await isDuplicate(request, tunnelId, options)) return refusal(duplicateConnectionCause);
    // Others may have come while we waited, and this one may be gone.
    if (ended) throw new PosternError('connection.lost', 'The connector went away while it registered.');
    if (registry.findDuplicate(tunnelId, request.clientId, request.connIndex) !== undefined)
      return refusal(duplicateConnectionCause);
    if (registry.countOf(tunnelId) >= (options.maxConnectionsPerTunnel ?? defaultConnectionsPerTunnel)) {
      logger.warn({ tunnelID: tunnelId }, 'Registration refused: the tunnel has as many connections as it may have');
      return refusal('the tunnel has too many connections', fullRetryMs);
    }
    const features = request.features.filter(feature => feature.length <= maxTextLength).map(copyOf);
    const id = randomUUID();
    const accepted: RegisteredConnection = {
      id,
      tunnelId,
      accountTag: request.accountTag,
      clientId: request.clientId,
      connIndex: request.connIndex,
      connection,
      location: options.location,
      features,
      datagramVersion: datagramVersionOf(features),
      version: copyOf(request.version),
      arch: copyOf(request.arch),
      openedAtMs: Date.now(),
      secret: Buffer.from(request.tunnelSecret),
      draining: false,
      configurations: new ConfigurationSender(connection, logger.child({ connection: id, tunnelID: tunnelId })),
    };
    registered = accepted;
    release();
    registry.add(accepted);
    if (isOld) options.onOldSecret?.(tunnelId);
    logger.info(
      { tunnelID: tunnelId, connIndex: request.connIndex, connection: accepted.id, version: accepted.version },
      'Registered connector connection',
    );
    let remote: boolean;
    try {
      ({ remote } = await catchUp(accepted));
    } catch (error) {
      registry.remove(accepted);
      throw error;
    }
    // After the answer is on its way: the connector applies a configuration only once it is registered.
    setImmediate(() => accepted.configurations.start());
    return {
      details: {
        uuid: accepted.id,
        locationName: options.location,
        tunnelIsRemotelyManaged: remote,
      },
    };
  };

  const session = serveRegistration(
    connection.control,
    {
      register: async request => {
        try {
          const result = await register(request);
          if ('error' in result) endRefused();
          return result;
        } catch (error) {
          endRefused();
          throw error;
        }
      },
      updateLocalConfiguration: config => {
        if (config.byteLength <= maxLocalConfigBytes)
          logger.debug({ bytes: config.byteLength }, 'Local configuration received');
        return Promise.resolve();
      },
      unregister: () => {
        if (registered !== undefined) {
          registered.draining = true;
          logger.info({ connection: registered.id }, 'Connector connection unregistered');
        }
        // The answer goes out first; then running requests end and the connection with them.
        setImmediate(() => void connection.drain(options.drainTimeoutMs));
        return Promise.resolve();
      },
    },
    { onError: error => logger.warn({ error: describeError(error) }, 'Registration failed') },
  );
  void session.closed.then(error => {
    if (registered?.draining === true || options.isDraining()) return;
    connection.abort(error ?? new PosternError('connection.closed', 'The control stream ended.'));
  });
  connection.acceptRpc(stream => stream.destroy());
  void connection.closed.then(end => {
    ended = true;
    release();
    session.close();
    if (registered === undefined) return;
    registry.remove(registered);
    const fields = { connection: registered.id, tunnelID: registered.tunnelId, connIndex: registered.connIndex };
    if (end.error === undefined || registered.draining || options.isDraining())
      logger.info(fields, 'Connector connection closed');
    else logger.warn({ ...fields, error: describeError(end.error) }, 'Connector connection lost');
  });
}

/** `retryAfterMs`: when to ask again; undefined = never. */
function refusal(cause: string, retryAfterMs?: number): RegistrationResult {
  return { error: { cause, shouldRetry: retryAfterMs !== undefined, retryAfterMs: retryAfterMs ?? 0 } };
}

/** The beginning of a text, in memory of its own: a plain slice would keep all of what a peer sent. */
function copyOf(text: string): string {
  return Buffer.from(text.slice(0, maxTextLength)).toString();
}

/** The tunnel, or 'credentials.refused', which the connector sees as `Unauthorized`. */
async function authorize(
  request: RegistrationRequest,
  store: Store,
  logger: Logger,
): Promise<{ readonly tunnelId: TunnelId; readonly isOld: boolean }> {
  const verdict = await authenticateTunnel(store, {
    accountTag: request.accountTag,
    tunnelId: request.tunnelId,
    secret: request.tunnelSecret,
  });
  const tunnelId = parseTunnelId(request.tunnelId);
  const isOld = verdict === 'old';
  if ((verdict === 'accepted' || isOld) && tunnelId !== undefined) return { tunnelId, isOld };
  logger.warn({ tunnelID: request.tunnelId, verdict }, 'Registration refused');
  throw new PosternError(
    'credentials.refused',
    `Tunnel ${request.tunnelId} is not known with that account and secret.`,
  );
}

/**
 * Whether the same connection of the same connector is alive already. A dead one that was not noticed yet, and one whose
 * connector asks to replace it, gives way.
 */
async function isDuplicate(
  request: RegistrationRequest,
  tunnelId: TunnelId,
  { drainTimeoutMs, registry }: Pick<ServeConnectorOptions, 'drainTimeoutMs' | 'registry'>,
): Promise<boolean> {
  const existing = registry.findDuplicate(tunnelId, request.clientId, request.connIndex);
  if (existing === undefined) return false;
  if (request.replaceExisting) {
    existing.draining = true;
    void existing.connection.drain(drainTimeoutMs);
    return false;
  }
  try {
    await existing.connection.ping(duplicatePingMs);
    return true;
  } catch {
    // No answer: what it was is over, and its place is free.
    existing.draining = true;
    existing.connection.abort(new PosternError('connection.lost', 'The connector registered this connection anew.'));
    return false;
  }
}
