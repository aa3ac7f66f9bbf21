// `tunnel run [TUNNEL]`: a connector in the foreground. Source: docs/protocol/commands-and-api.md §4. Exit codes: 0
// after an orderly stop, 2 credentials refused, 3 bad configuration, 11 to be started again after an update, 1 anything else.

import { runFlags } from '../../internal/config/run-flags.ts';
import { defineCommand } from '../command.ts';
import { openLogger } from '../logging.ts';
import { askByName } from './ask-by-name.ts';
import { resolveRunCredentials } from './run-credentials.ts';
import { runTunnel } from './run-tunnel.ts';
import { loadSettings } from './settings.ts';

export const command = defineCommand({
  description:
    'Connects this machine to the edge and serves the tunnel until it is stopped. Credentials come from --token-file, ' +
    '--token, TUNNEL_TOKEN, or the credentials file of the tunnel that is named.',
  positionals: [{ name: 'TUNNEL', description: 'Id or name; not needed with a token', optional: true, repeated: true }],
  checkArgs: () => undefined,
  flags: runFlags,
  inheritedHelp: true,
  usualFlags: [
    ...[
      'token-file',
      'credentials-file',
      'config',
      'url',
      'hello-world',
      'protocol',
      'edge',
      'region',
      'ha-connections',
    ],
    ...['metrics', 'pidfile', 'loglevel', 'logfile', 'access-log', 'grace-period'],
  ],
  examples: [
    ['postern tunnel run --token-file /etc/postern/token', 'Run the tunnel that the token is for'],
    ['postern tunnel --url http://localhost:3000 run my-tunnel', 'Run a named tunnel with a single origin'],
    ['postern tunnel run home office', 'Run two tunnels in one process'],
  ],
  run: async (invocation, context) => {
    const { settings, file, searched } = await loadSettings(invocation, context);
    await using log = await openLogger(context, settings);
    if (file === undefined) log.logger.debug(searched);
    const patience = { retries: settings.retries, logger: log.logger };
    const findByName = (name: string) => askByName(name, invocation, context, patience);
    const credentialsOf = (...args: readonly string[]) =>
      resolveRunCredentials({ settings, file, args, findByName }, context);
    const names = invocation.args.length > 0 ? invocation.args : (file?.tunnels ?? []);
    if (names.length > 1) {
      const { runTunnels } = await import('./run-many.ts');
      return await runTunnels({ settings, given: invocation.given, file, names, credentialsOf, log }, context);
    }
    const credentials = await credentialsOf(...names);
    const { haConnections } = settings;
    const { given } = invocation;
    return await runTunnel({ settings, given, file, credentials, quickTunnelHost: '', haConnections, log }, context);
  },
});
