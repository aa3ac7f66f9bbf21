// A connector of a test's own making on the real transport: it registers by the protocol, or not, and answers as it likes.

import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { PosternError } from '../../internal/errors/error.ts';
import { RegistrationClient } from '../../internal/rpc/registration-client.ts';
import { dialHttp2 } from '../../internal/transport/http2/dial.ts';
import type { ConnectorConnection, IncomingStream } from '../../internal/transport/transport.ts';
import type { RegistrationRequest } from '../../internal/wire/rpc/registration.ts';
import type { EdgeWorld, KnownTunnel } from './edge-world.ts';
import { streamsOnly } from './streams-only.ts';

export interface BareConnector {
  readonly connection: ConnectorConnection;
  readonly control: Duplex;
  readonly client: RegistrationClient;
}

const over = new PosternError('connection.closed', 'The test is over.');

function serveEmpty(incoming: IncomingStream): void {
  incoming.body.resume();
  incoming.respond({ status: 204, headers: [] }, { endStream: true });
}

/** Dials, and does not register. It ends with the test. */
export async function dialBare(
  t: TestContext,
  world: EdgeWorld,
  serve: (incoming: IncomingStream) => void = serveEmpty,
): Promise<BareConnector> {
  const connection = await dialHttp2({
    host: '127.0.0.1',
    port: world.edge.connectorPort,
    ca: [world.edge.caPem],
    serverName: 'h2.cftunnel.com',
    timeoutMs: 10_000,
  });
  t.after(() => connection.abort(over));
  connection.serve(streamsOnly(serve));
  const control = await connection.control;
  return { connection, control, client: new RegistrationClient(control, { timeoutMs: 5_000 }) };
}

/** A registration for `tunnel`, by a connector of its own unless `changes` say otherwise. */
export function claimFor(tunnel: KnownTunnel, changes: Partial<RegistrationRequest> = {}): RegistrationRequest {
  return {
    accountTag: tunnel.accountTag,
    tunnelSecret: tunnel.secret,
    tunnelId: tunnel.id,
    connIndex: 0,
    clientId: randomUUID(),
    features: [],
    version: 'test',
    arch: 'test',
    originLocalIp: new Uint8Array(),
    replaceExisting: false,
    compressionQuality: 0,
    numPreviousAttempts: 0,
    ...changes,
  };
}

/** Dials and registers. */
export async function registerBare(
  t: TestContext,
  world: EdgeWorld,
  tunnel: KnownTunnel,
  serve?: (incoming: IncomingStream) => void,
): Promise<BareConnector> {
  const connector = await dialBare(t, world, serve);
  await connector.client.registerConnection(claimFor(tunnel));
  return connector;
}
