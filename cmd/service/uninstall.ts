// `service uninstall`. Source: docs/protocol/commands-and-api.md §11.

import { uninstallService } from '../../internal/service/install.ts';
import { defineCommand } from '../command.ts';
import { chooseInstance, nameFlag, openServiceWorld } from './service-world.ts';

export const command = defineCommand({
  description:
    'Stops a service, once its running requests have ended, and removes it with its token. Its config file and the state of ' +
    'an edge stay.',
  flags: [nameFlag],
  run: async ({ flags }, context) => {
    const world = openServiceWorld(context);
    const name = chooseInstance(flags.name, world);
    await uninstallService(name, world.platform, world.system);
    context.stdout.write(`The service ${world.platform.label(name)} was removed\n`);
  },
});
