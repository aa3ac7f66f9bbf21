// The visitors of a soak, one loop each until the time is over: requests on kept connections, downloads, uploads, and
// WebSockets that live for seconds. What fails just when the soak cuts all connections is counted apart.

import { Agent, type Pool } from 'undici';
import { WebSocket } from 'ws';
import type { LoadCounts } from './judge.ts';
import { bodyBytes, host } from './world.ts';

interface Load {
  readonly name: string;
  /** Loops at once. */
  readonly many: number;
  /** One piece of work; rejects when it failed. */
  readonly once: (visitors: Visitors) => Promise<void>;
}

interface Visitors {
  readonly origin: string;
  readonly pool: Pick<Pool, 'request'>;
}

const workTimeoutMs = 60_000;
const socketLifeMs = 5_000;
/** Between pieces of work, so that the machine is busy, not full. */
const pauseMs = 20;

const loads: readonly Load[] = [
  {
    name: 'requests',
    many: 16,
    once: async ({ origin, pool }) => {
      const text = await exchange(pool, origin, '/', undefined);
      if (text.toString() !== 'origin') throw new Error(`another answer: ${text.toString().slice(0, 100)}`);
    },
  },
  {
    name: 'downloads',
    many: 3,
    once: async ({ origin, pool }) => {
      const { length } = await exchange(pool, origin, '/down', undefined);
      if (length !== bodyBytes) throw new Error(`${length} bytes instead of ${bodyBytes}`);
    },
  },
  {
    name: 'uploads',
    many: 3,
    once: async ({ origin, pool }) => {
      const text = (await exchange(pool, origin, '/up', Buffer.alloc(bodyBytes, 'y'))).toString();
      if (text !== String(bodyBytes)) throw new Error(`${text} bytes arrived instead of ${bodyBytes}`);
    },
  },
  { name: 'WebSockets', many: 12, once: ({ origin }) => talk(`${origin.replace('http', 'ws')}/socket`) },
];

async function exchange(
  pool: Visitors['pool'],
  origin: string,
  path: string,
  body: Buffer | undefined,
): Promise<Buffer> {
  const { statusCode, body: answer } = await pool.request({
    origin,
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: { host },
    body: body ?? null,
    signal: AbortSignal.timeout(workTimeoutMs),
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (statusCode !== 200) throw new Error(`status ${statusCode}: ${bytes.toString().slice(0, 100)}`);
  return bytes;
}

/** Sends a message every 100 ms and wants each back. */
function talk(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: { host }, handshakeTimeout: workTimeoutMs });
    let sent = 0;
    let returned = 0;
    let failure: Error | undefined;
    let timer: NodeJS.Timeout | undefined;
    socket.on('error', error => {
      failure ??= error;
    });
    socket.on('open', () => {
      timer = setInterval(() => {
        if (sent * 100 < socketLifeMs) {
          sent += 1;
          socket.send(`message ${sent} ${'z'.repeat(1_000)}`);
        } else if (returned === sent) socket.close(1000);
      }, 100);
    });
    socket.on('message', () => {
      returned += 1;
    });
    const late = setTimeout(() => {
      failure ??= new Error(`${returned} of ${sent} messages came back in time`);
      socket.terminate();
    }, workTimeoutMs);
    socket.on('close', code => {
      clearInterval(timer);
      clearTimeout(late);
      if (code === 1000) resolve();
      else reject(failure ?? new Error(`the socket was closed with ${code}`));
    });
  });
}

/** The load until `signal`; `isCut` tells whether the soak cut connections in the span from `sinceMs` on. Never rejects. */
export async function runLoads(
  httpPort: number,
  isCut: (sinceMs: number) => boolean,
  signal: AbortSignal,
): Promise<Readonly<Record<string, LoadCounts>>> {
  const agent = new Agent({ connections: 64 });
  const visitors: Visitors = { origin: `http://127.0.0.1:${httpPort}`, pool: agent };
  const entries = await Promise.all(
    loads.map(async ({ many, name, once }) => {
      const counts = { done: 0, failed: 0, cut: 0, firstFailure: undefined as string | undefined };
      const loop = async (): Promise<void> => {
        while (!signal.aborted) {
          const sinceMs = performance.now();
          try {
            await once(visitors);
            counts.done += 1;
          } catch (error) {
            if (isCut(sinceMs)) counts.cut += 1;
            else {
              counts.failed += 1;
              counts.firstFailure ??= error instanceof Error ? error.message : String(error);
            }
          }
          await new Promise(resolve => setTimeout(resolve, pauseMs));
        }
      };
      await Promise.all(Array.from({ length: many }, loop));
      return [name, counts] as const;
    }),
  );
  await agent.destroy();
  return Object.fromEntries(entries);
}
