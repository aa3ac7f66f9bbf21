// Sends a remote configuration to a connector over whichever way its transport has.
// Source: docs/protocol/edge-protocol.md §9.4 (QUIC, by RPC), §10.9 (HTTP/2, by request);
// docs/protocol/ingress-and-origin.md §5.

import { describeError, PosternError } from '../errors/error.ts';
import { ConnectorClient } from '../rpc/connector-client.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeConnection } from '../transport/transport.ts';
import type { RegisteredConnection } from './connector-registry.ts';

export interface PushResult {
  /** Version that the connector runs now. */
  readonly version: number;
  /** Why it did not apply this one; undefined when it did. */
  readonly error: string | undefined;
}

/** A connector serves such a call for 5 s (docs/protocol/edge-protocol.md §7.4); twice that covers a slow link. */
export const pushTimeoutMs = 10_000;
/** What the log shows of a connector's words: enough for a rule and what is wrong with it. */
const maxLoggedLength = 500;
/** The answer is a line of JSON. */
const maxAnswerBytes = 64 * 1024;

/** Pushes and logs the outcome; resolves to undefined when the connector could not be asked. Never rejects. */
export async function pushConfiguration(
  target: RegisteredConnection,
  version: number,
  config: string,
  logger: Logger,
): Promise<PushResult | undefined> {
  const fields = { connection: target.id, tunnelID: target.tunnelId, version };
  try {
    const { openRpc } = target.connection;
    const result =
      openRpc === undefined
        ? await pushByRequest(target.connection, version, config)
        : await pushByRpc(openRpc, version, config);
    target.configurationVersion = Math.max(target.configurationVersion, result.version);
    if (result.error === undefined) logger.info({ ...fields, active: result.version }, 'Configuration pushed');
    else
      logger.warn(
        { ...fields, active: result.version, error: result.error.slice(0, maxLoggedLength) },
        'The connector refused the configuration',
      );
    return result;
  } catch (error) {
    logger.warn({ ...fields, error: describeError(error) }, 'The configuration could not be pushed');
    return undefined;
  }
}

async function pushByRpc(
  openRpc: NonNullable<EdgeConnection['openRpc']>,
  version: number,
  config: string,
): Promise<PushResult> {
  const client = new ConnectorClient(await openRpc(), { timeoutMs: pushTimeoutMs });
  try {
    const result = await client.updateConfiguration({ version, config: Buffer.from(config) });
    return { version: result.latestAppliedVersion, error: result.error === '' ? undefined : result.error };
  } finally {
    client.close();
  }
}

async function pushByRequest(connection: EdgeConnection, version: number, config: string): Promise<PushResult> {
  const body = Buffer.from(`{"version":${version},"config":${config}}`);
  const stream = connection.request({
    kind: 'configuration',
    method: 'PUT',
    scheme: 'https',
    host: 'config',
    path: '/',
    headers: ['content-type', 'application/json', 'content-length', String(body.byteLength)],
    bodyLength: body.byteLength,
  });
  const timer = setTimeout(() => stream.reset(), pushTimeoutMs);
  try {
    stream.body.end(body);
    const { status } = await stream.response;
    const answer = JSON.parse(await readText(stream.body)) as unknown;
    if (status !== 200 || typeof answer !== 'object' || answer === null || !('lastAppliedVersion' in answer)) {
      throw new PosternError('protocol.malformed', `The connector answered a configuration with status ${status}.`);
    }
    const failed = 'err' in answer && answer.err !== null && answer.err !== undefined;
    const version = Number(answer.lastAppliedVersion);
    if (!Number.isSafeInteger(version)) throw new PosternError('protocol.malformed', 'The version is not a number.');
    return {
      version,
      error: failed ? (typeof answer.err === 'string' ? answer.err : JSON.stringify(answer.err)) : undefined,
    };
  } finally {
    clearTimeout(timer);
    // Nothing more is wanted of it; whole answers have ended it already.
    if (!stream.body.readableEnded) stream.reset();
  }
}

function readText(body: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxAnswerBytes) chunks.push(chunk);
      else reject(new PosternError('protocol.too-large', 'The answer to a configuration is too long.'));
    });
    body.once('end', () => resolve(Buffer.concat(chunks).toString()));
    body.once('close', () =>
      reject(new PosternError('stream.reset', 'The connector ended the stream before it answered.')),
    );
  });
}
