// `healthcheck`: whether the connector or the edge at a metrics address serves, as an exit code and a line. Source:
// docs/protocol/commands-and-api.md §13.

import { isPosternError, PosternError } from '../internal/errors/error.ts';
import { askHealth } from '../internal/management/ask-health.ts';
import { defaultPorts } from '../internal/management/health-server.ts';
import type { LocalAddress } from '../internal/management/local-server.ts';
import { defineCommand } from './command.ts';
import { parseListen } from './parse-listen.ts';

export const command = defineCommand({
  description:
    'Asks a connector or an edge whether it serves. A connector does when it has a registered connection, an edge when its ' +
    'listeners are open and its store answers. Exits with 0 when it does, else with 1. Without --metrics it asks ' +
    'the first connector of this machine that answers on one of the usual ports.',
  flags: [
    {
      name: 'metrics',
      type: 'string',
      env: ['TUNNEL_METRICS'],
      valueName: 'HOST:PORT',
      description: 'Where the connector or the edge serves metrics (default: localhost, 20241 to 20245)',
    },
    { name: 'alive', type: 'boolean', description: 'Ask only whether the process answers (/healthcheck)' },
    { name: 'timeout', type: 'duration', default: '5s', description: 'How long to wait for the answer' },
  ],
  examples: [
    ['postern healthcheck', 'The connector of this machine or container'],
    ['postern healthcheck --metrics 127.0.0.1:9090', 'An edge started with --metrics 127.0.0.1:9090'],
  ],
  run: async ({ flags }, context) => {
    const path = flags.alive ? '/healthcheck' : '/ready';
    const given = flags.metrics === undefined ? undefined : parseListen(flags.metrics, 'metrics');
    // Port 0, which a connector's setting may have, means the usual ports too.
    const candidates =
      given === undefined || given.port === 0
        ? defaultPorts.filter(port => port !== 0).map(port => ({ host: given?.host ?? 'localhost', port }))
        : [given];
    const { url, status, text } = await askFirst(candidates, path, flags.timeoutMs);
    if (status !== 200) throw new PosternError('health.failed', `${url} answers ${status}: ${text.trim()}`);
    context.stdout.write(`${url} answers 200: ${text.trim()}\n`);
  },
});

async function askFirst(candidates: readonly LocalAddress[], path: string, timeoutMs: number) {
  for (const address of candidates) {
    try {
      return await askHealth(address, path, timeoutMs);
    } catch (error) {
      // With several, the next one may be the connector's.
      if (!isPosternError(error, 'health.failed') || candidates.length === 1) throw error;
    }
  }
  const ports = candidates.map(({ port }) => port);
  throw new PosternError(
    'health.failed',
    `Nobody answers on ${candidates[0]?.host}:${ports[0]} to ${ports.at(-1)}; name the address with --metrics`,
  );
}
