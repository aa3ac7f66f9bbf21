// The configuration update that an edge sends as a request over HTTP/2: JSON in, version and error out.
// Source: docs/protocol/edge-protocol.md §10.9.

import { PosternError } from '../../errors/error.ts';
import { isDeeperThan, maxJsonDepth } from '../../schema/json-depth.ts';
import type { IncomingStream } from '../../transport/transport.ts';
import type { Orchestrator } from './orchestrator.ts';

/** Real configurations are kilobytes; a thousand rules with every setting stay under one megabyte. */
export const maxBytes = 4 * 1024 * 1024;

/** Serves one stream of kind 'configuration'. A body that is not such JSON is refused. Never throws. */
export function serveConfiguration(incoming: IncomingStream, orchestrator: Orchestrator): void {
  const { body } = incoming;
  const chunks: Buffer[] = [];
  let size = 0;
  body.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBytes) {
      body.removeAllListeners('data');
      body.pause();
      incoming.refuse({ message: `the configuration is larger than ${maxBytes} bytes` });
    } else chunks.push(chunk);
  });
  body.once('error', () => body.destroy());
  body.once('end', () => {
    if (size > maxBytes) return;
    void answer(incoming, orchestrator, Buffer.concat(chunks).toString('utf8'));
  });
}

async function answer(incoming: IncomingStream, orchestrator: Orchestrator, text: string): Promise<void> {
  const update = parseUpdate(text);
  if (update instanceof PosternError) {
    incoming.refuse({ message: update.message });
    return;
  }
  const { version, error } = await orchestrator.update(update.version, update.config);
  if (incoming.body.destroyed) return;
  const json = JSON.stringify({
    lastAppliedVersion: version,
    err: error === undefined ? null : { message: error.message },
  });
  incoming.respond({
    status: 200,
    headers: ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(json))],
  });
  incoming.body.end(json);
}

function parseUpdate(text: string): { version: number; config: string } | PosternError {
  const malformed = (why: string): PosternError =>
    new PosternError('protocol.malformed', `Configuration update: ${why}`);
  if (isDeeperThan(text, maxJsonDepth)) return malformed(`the body is nested more than ${maxJsonDepth} levels deep`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's message quotes the configuration, which may name internal hosts.
    return malformed('the body is not JSON');
  }
  if (typeof document !== 'object' || document === null) return malformed('the body is not an object');
  const { version, config } = document as { version?: unknown; config?: unknown };
  if (typeof version !== 'number' || !Number.isInteger(version)) return malformed('"version" is not an integer');
  return { version, config: JSON.stringify(config ?? {}) };
}
