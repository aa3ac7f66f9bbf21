// The process that makes the load: visitors of HTTP and of private TCP. Its own CPU is not measured. It is forked by
// load-client.ts and does what messages say; see LoadCommand.

import { Pool } from 'undici';
import type { Target } from './contender.ts';
import { flowSend } from './flow-load.ts';
import { httpSend } from './http-load.ts';
import { type LoadResult, runLoad } from './load.ts';
import type { LoadKind } from './options.ts';
import { atOnce } from './requests.ts';

export interface LoadCommand {
  readonly kind: LoadKind;
  readonly seconds: number;
  readonly target: Target;
  /** In place of what is usual for the kind. */
  readonly atOnce?: number;
  /** After so long without an answer a request has failed; default: undici's five minutes. */
  readonly timeoutMs?: number;
}

/** HTTP/2 visitors share so many connections. */
const http2Connections = 4;

async function run({ kind, seconds, target, ...command }: LoadCommand): Promise<LoadResult> {
  const many = command.atOnce ?? atOnce[kind];
  if (kind === 'tcp-down' || kind === 'tcp-up') return runLoad(flowSend(kind, target), many, seconds);
  const timeouts =
    command.timeoutMs === undefined ? {} : { headersTimeout: command.timeoutMs, bodyTimeout: command.timeoutMs };
  const origin = `127.0.0.1:${target.port}`;
  const pool =
    target.via === 'http2'
      ? new Pool(`https://${origin}`, {
          connections: http2Connections,
          pipelining: many / http2Connections,
          ...timeouts,
          allowH2: true,
          // The certificate is of the edge's own CA, and what is measured is not trust.
          connect: { rejectUnauthorized: false },
        })
      : new Pool(`http://${origin}`, { connections: many, allowH2: false, ...timeouts });
  const result = await runLoad(httpSend(kind, pool), many, seconds);
  await pool.close();
  return result;
}

process.on('message', (command: LoadCommand) => void run(command).then(result => process.send?.(result)));
process.on('disconnect', () => process.exit(0));
