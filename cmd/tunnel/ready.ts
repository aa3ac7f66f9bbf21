// `tunnel --metrics HOST:PORT ready`: whether the connector there has a registered connection. Exit code 0 or 1, for health
// checks of containers. Source: docs/protocol/commands-and-api.md §5.6.

import { PosternError } from '../../internal/errors/error.ts';
import { askHealth } from '../../internal/management/ask-health.ts';
import { defineCommand } from '../command.ts';
import { parseListen } from '../parse-listen.ts';
import { loadSettings } from './settings.ts';

/** As long as the endpoint itself gives a request. */
const timeoutMs = 10_000;

export const command = defineCommand({
  description:
    'Asks the metrics address of a connector for /ready. Exits with 0 when it has a registered connection, with 1 when it ' +
    'has none or does not answer.',
  flags: [],
  examples: [['postern tunnel --metrics localhost:20241 ready', 'The health check of a container']],
  run: async (invocation, context) => {
    const { settings } = await loadSettings(invocation, context);
    if (settings.sources.metrics === undefined)
      throw new PosternError(
        'usage.invalid',
        '--metrics has to be provided: the HOST:PORT where the connector serves metrics',
      );
    const { url, status, text } = await askHealth(parseListen(settings.metrics, 'metrics'), '/ready', timeoutMs);
    if (status === 200) return;
    throw new PosternError('health.failed', `${url} endpoint returned status code ${status}\n${text}`);
  },
});
