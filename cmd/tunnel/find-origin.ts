// What `postern tunnel` publishes when nobody says what: the service at localhost:8080, if there is one; else what listens
// where development servers do is named, not published. Source: docs/protocol/commands-and-api.md §5.1.

import { request } from 'node:http';
import { PosternError } from '../../internal/errors/error.ts';

/** Published without being named. */
export const usualPort = 8080;

/** Where the development servers of the day listen: React, Vite, Django, Flask, Angular, Phoenix, Jupyter, Hugo, Astro, PHP. */
export const developmentPorts = [3000, 5173, 8000, 5000, 4200, 4000, 8888, 1313, 4321, 9000] as const;

/** A machine that answers at all takes a connection at once; a service that says nothing is one, too. */
const timeoutMs = 1_000;

export interface OriginPorts {
  readonly usual: number;
  readonly development: readonly number[];
}

/**
 * `http://localhost:8080` when something other than an edge listens there. Throws 'usage.invalid' otherwise, which names
 * what listens elsewhere.
 */
export async function findOrigin(
  ports: OriginPorts = { usual: usualPort, development: developmentPorts },
): Promise<string> {
  const [usual = false, ...others] = await Promise.all([ports.usual, ...ports.development].map(isService));
  const url = (port: number): string => `http://localhost:${port}`;
  if (usual) return url(ports.usual);
  const heard = ports.development.filter((_, at) => others[at]).map(port => `--url ${url(port)}`);
  const hint =
    heard.length === 0
      ? 'Start your service, or name it: --url http://localhost:PORT. A named tunnel is run by: postern tunnel run NAME'
      : `Did you mean ${heard.join(' or ')}?`;
  throw new PosternError('usage.invalid', `No service listens at localhost:${ports.usual}. ${hint}`);
}

/** Whether something listens on this port of localhost that is no edge of ours: that would be published through itself. */
function isService(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const headers = { host: 'localhost' };
    const asked = request({
      host: 'localhost',
      port,
      path: '/',
      method: 'HEAD',
      agent: false,
      headers,
      timeout: timeoutMs,
    });
    let connected = false;
    const settle = (found: boolean): void => {
      resolve(found);
      asked.destroy();
    };
    asked.once('socket', socket => {
      socket.once('connect', () => {
        connected = true;
      });
    });
    asked.once('response', ({ headers: answered }) => settle(answered['postern-request-id'] === undefined));
    asked.once('timeout', () => settle(connected));
    // A service of another protocol takes the connection and breaks it.
    asked.once('error', () => settle(connected));
    asked.end();
  });
}
