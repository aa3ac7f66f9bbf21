// `service install [TOKEN]`: a connector or an edge that starts with the machine. Source:
// docs/protocol/commands-and-api.md §11.

import { runFlags } from '../../internal/config/run-flags.ts';
import { installService } from '../../internal/service/install.ts';
import { defineCommand } from '../command.ts';
import { requireReadable, serviceSpec } from './service-spec.ts';
import { checkName, nameFlag, openServiceWorld } from './service-world.ts';

/** The contents of a credentials file are a secret that would have to stand in the definition. */
const takenFlags = runFlags.filter(flag => flag.name !== 'credentials-contents');

export const command = defineCommand({
  description:
    'Installs a connector that starts with the machine, for the tunnel of a token or of a config file, or an edge with --edge. ' +
    'The token is kept in a file of root’s alone. Flags of `tunnel run` are taken as well; those of `edge run` follow ' +
    'after --. Prefer --token-file: arguments show in process lists.',
  positionals: [{ name: 'TOKEN', description: 'Token of the tunnel', optional: true }],
  checkArgs: () => undefined,
  flags: [
    nameFlag,
    { name: 'edge', type: 'boolean', description: 'Install an edge' },
    {
      name: 'user',
      type: 'string',
      valueName: 'USER',
      description: 'User to run as (default: one of its own with systemd, else root)',
    },
    {
      name: 'no-update-service',
      type: 'boolean',
      description: 'With systemd: no timer that updates the single binary once a day and restarts the connector then',
    },
    ...takenFlags,
  ],
  examples: [
    ['postern service install --token-file token', 'The tunnel of a token'],
    ['postern service install --config ~/.postern/config.yml --name web', 'A second instance, postern@web'],
    ['postern service install --edge -- --domain example.com --http-port 80', 'An edge'],
  ],
  run: async ({ args, given, flags }, context) => {
    const { platform, system } = openServiceWorld(context);
    const name = checkName(flags.name ?? (flags.edge ? 'edge' : undefined));
    const spec = await serviceSpec(
      { args, given, name, user: flags.user, isEdge: flags.edge, noUpdates: flags.noUpdateService },
      context,
    );
    if (platform.id === 'systemd' && spec.user === undefined) requireReadable(spec.program);
    await installService(spec, platform, system);
    const option = name === undefined ? '' : ` --name ${name}`;
    const { definition, state } = platform.paths(name, system);
    context.stdout.write(
      `The service ${platform.label(name)} runs (${definition}). See it with: postern service status${option}\n`,
    );
    if (spec.kind === 'edge') context.stdout.write(`Commands reach this edge with POSTERN_STATE_DIR=${state}\n`);
  },
});
