// One accepted connection from its first byte to its end: authenticate the registration, detect duplicates, push the
// remote configuration, drain when it unregisters. Source: spec edge-protocol §7.3, §8, §11, §13.2.

import { randomUUID } from 'node:crypto';
import { describeError, PosternError } from '../../errors/error.ts';
import { serveRegistration } from '../../rpc/registration-server.ts';
import { parseTunnelId, type TunnelId } from '../../schema/api-id.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { EdgeConnection } from '../../transport/transport.ts';
import { datagramVersionOf } from '../../wire/features.ts';
import {
  duplicateConnectionCause,
  type RegistrationRequest,
  type RegistrationResult,
} from '../../wire/registration.ts';
import { authenticateTunnel } from '../store/authenticate-tunnel.ts';
import type { Store } from '../store/store.ts';
import type { ConnectorRegistry, RegisteredConnection } from './connector-registry.ts';
import { pushConfiguration } from './push-configuration.ts';

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
}

/** A live peer answers a ping in this time; a registration has 5 s in all (spec §7.4). */
const duplicatePingMs = 1_500;
/** Longest local configuration kept in mind to read; larger ones are answered and ignored. */
const maxLocalConfigBytes = 1 << 20;

/** Takes the connection over; never throws. */
export function serveConnector(connection: EdgeConnection, options: ServeConnectorOptions): void {
  const { registry } = options;
  const logger = options.logger.child({ remote: connection.remoteAddress, protocol: connection.protocol });
  let registered: RegisteredConnection | undefined;

  const register = async (request: RegistrationRequest): Promise<RegistrationResult> => {
    if (options.isDraining()) return refusal('edge is draining', true);
    const tunnelId = await authorize(request, options.store, logger);
    if (await isDuplicate(registry, request, tunnelId)) return refusal(duplicateConnectionCause, false);
    const configuration = await options.store.tunnels.configuration(tunnelId);
    const accepted: RegisteredConnection = {
      id: randomUUID(),
      tunnelId,
      accountTag: request.accountTag,
      clientId: request.clientId,
      connIndex: request.connIndex,
      connection,
      location: options.location,
      features: request.features,
      datagramVersion: datagramVersionOf(request.features),
      version: request.version,
      arch: request.arch,
      openedAtMs: Date.now(),
      draining: false,
    };
    registered = accepted;
    registry.add(accepted);
    logger.info(
      { tunnelID: tunnelId, connIndex: request.connIndex, connection: accepted.id, version: request.version },
      'Registered connector connection',
    );
    if (configuration !== undefined) {
      // After the answer is on its way: the connector applies a configuration only once it is registered.
      setImmediate(() => void pushConfiguration(accepted, configuration.version, configuration.config, logger));
    }
    return {
      details: {
        uuid: accepted.id,
        locationName: options.location,
        tunnelIsRemotelyManaged: configuration !== undefined,
      },
    };
  };

  const session = serveRegistration(
    connection.control,
    {
      register,
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
  // A connector that failed to register keeps its connection and waits for us to close it (spec §8.3).
  void session.closed.then(error => {
    if (registered?.draining === true) return;
    connection.abort(error ?? new PosternError('connection.closed', 'The control stream ended.'));
  });
  connection.acceptRpc(stream => stream.destroy());
  void connection.closed.then(end => {
    session.close();
    if (registered === undefined) return;
    registry.remove(registered);
    const fields = { connection: registered.id, tunnelID: registered.tunnelId, connIndex: registered.connIndex };
    if (end.error === undefined || registered.draining) logger.info(fields, 'Connector connection closed');
    else logger.warn({ ...fields, error: describeError(end.error) }, 'Connector connection lost');
  });
}

function refusal(cause: string, shouldRetry: boolean): RegistrationResult {
  return { error: { cause, shouldRetry, retryAfterMs: shouldRetry ? 1_000 : 0 } };
}

/** The tunnel, or 'credentials.refused', which the connector sees as `Unauthorized`. */
async function authorize(request: RegistrationRequest, store: Store, logger: Logger): Promise<TunnelId> {
  const verdict = await authenticateTunnel(store, {
    accountTag: request.accountTag,
    tunnelId: request.tunnelId,
    secret: request.tunnelSecret,
  });
  const tunnelId = parseTunnelId(request.tunnelId);
  if (verdict === 'accepted' && tunnelId !== undefined) return tunnelId;
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
  registry: ConnectorRegistry,
  request: RegistrationRequest,
  tunnelId: TunnelId,
): Promise<boolean> {
  const existing = registry.findDuplicate(tunnelId, request.clientId, request.connIndex);
  if (existing === undefined) return false;
  if (request.replaceExisting) {
    existing.draining = true;
    void existing.connection.drain(30_000);
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
