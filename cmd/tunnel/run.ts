// `tunnel run [TUNNEL]`: a connector in the foreground. Source: docs/protocol/commands-and-api.md §4. Exit codes: 0
// after an orderly stop, 2 credentials refused, 3 bad configuration, 11 to be started again after an update, 1 anything else.

import { runFlags } from '../../internal/config/run-flags.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { defineCommand } from '../command.ts';
import { openLogger } from '../logging.ts';
import { resolveRunCredentials } from './run-credentials.ts';
import { runTunnel } from './run-tunnel.ts';
import { loadSettings } from './settings.ts';
import { type TunnelInputs, tunnelInputs } from './tunnel-inputs.ts';

/** Of `tunnel --name`, which makes the tunnel and its routes first. */
const namingFlags = ['name', 'hostname', 'lb-pool', 'overwrite-dns'] as const;

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
    for (const name of namingFlags.filter(flag => settings.sources[flag] !== undefined))
      log.logger.warn(`${name} has no effect with \`tunnel run\`: \`postern tunnel --name NAME\` takes it`);
    const { given } = invocation;
    const findByName = async (name: string, of: TunnelSettings) => {
      // Only a tunnel named without credentials needs the API; loading its client takes time and memory.
      const [{ openApiOf }, { findTunnel }, { waitForApi }] = await Promise.all([
        import('./api.ts'),
        import('./find-tunnel.ts'),
        import('./wait-for-api.ts'),
      ]);
      const api = await openApiOf(of, context);
      return waitForApi(() => findTunnel(api, name), of.retries, log.logger);
    };
    const credentialsOf = ({ settings: of, file: read, args }: TunnelInputs) =>
      resolveRunCredentials({ settings: of, file: read, args, findByName: name => findByName(name, of) }, context);
    const names = invocation.args.length > 0 ? invocation.args : (file?.tunnels?.map(({ name }) => name) ?? []);
    if (names.length > 1) {
      const { runTunnels } = await import('./run-many.ts');
      return await runTunnels({ settings, given, file, names, credentialsOf, log }, context);
    }
    const [name] = names;
    const one =
      name === undefined ? { settings, file, args: [] } : tunnelInputs(name, { settings, given, file }, context);
    const credentials = await credentialsOf(one);
    const { haConnections } = one.settings;
    return await runTunnel({ ...one, given, credentials, quickTunnelHost: '', haConnections, log }, context);
  },
});
