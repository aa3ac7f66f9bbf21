// One registered connection: serving begins, the control stream is awaited and the registration made, the same for a
// first connection and for one that takes another's place. Source: docs/protocol/edge-protocol.md §7.4, §8.1, §8.3.

import type { EdgeAddress } from '../../discovery/edge-address.ts';
import { PosternError } from '../../errors/error.ts';
import { withDeadline } from '../../net/time/deadline.ts';
import type { ConnectorConnection } from '../../transport/transport.ts';
import type { ConnectionDetails } from '../../wire/rpc/registration.ts';
import { stoppedError } from './abortable.ts';
import type { LoopContext } from './loop-context.ts';
import { encodeLocalIp, type RegistrationSession } from './registration.ts';

/** What a registration yields; it is its loop's to close. */
export interface EdgeLink {
  readonly address: EdgeAddress;
  readonly connection: ConnectorConnection;
  readonly session: RegistrationSession;
  readonly details: ConnectionDetails;
}

export interface RegisterOptions {
  readonly connIndex: number;
  readonly address: EdgeAddress;
  readonly previousAttempts: number;
  /** The edge is to let the connection that has this index now go, once it has finished what runs there. */
  readonly replaceExisting: boolean;
}

/** The edge must open the control stream within this time of the dial; cloudflared allows 10 s for the preface. */
const controlTimeoutMs = 15_000;
const noControl = (): PosternError =>
  new PosternError('dial.timeout', `The edge did not open the control stream within ${controlTimeoutMs} ms`);

/** Serves `connection` and registers it. Rejects as the registration does, or 'dial.timeout'; the connection is aborted then. */
export async function registerLink(
  context: Pick<LoopContext, 'attach' | 'clock' | 'identity' | 'openRegistration'>,
  connection: ConnectorConnection,
  options: RegisterOptions,
): Promise<EdgeLink> {
  const { identity } = context;
  try {
    const { features, handler } = context.attach(connection, options.connIndex);
    connection.serve(handler);
    const control = await withDeadline(connection.control, controlTimeoutMs, noControl, context.clock);
    const session = context.openRegistration(control);
    const details = await session.registerConnection({
      accountTag: identity.accountTag,
      tunnelSecret: identity.tunnelSecret,
      tunnelId: identity.tunnelId,
      connIndex: options.connIndex,
      clientId: identity.connectorId,
      features,
      version: identity.version,
      arch: identity.platform,
      originLocalIp: encodeLocalIp(connection.localAddress),
      replaceExisting: options.replaceExisting,
      compressionQuality: 0,
      numPreviousAttempts: Math.min(options.previousAttempts, 255),
    });
    return { address: options.address, connection, session, details };
  } catch (error) {
    connection.abort(error instanceof PosternError ? error : stoppedError());
    throw error;
  }
}
