// `service status`: what the system's service manager says. The exit code is the manager's: 0 when it runs.

import { installedServices } from '../../internal/service/install.ts';
import { defineCommand } from '../command.ts';
import { chooseInstance, nameFlag, openServiceWorld, show } from './service-world.ts';

export const command = defineCommand({
  description: 'Shows the state of the service, or of every one that is installed.',
  flags: [nameFlag],
  run: async ({ flags }, context) => {
    const world = openServiceWorld(context);
    const { platform, system } = world;
    const all = installedServices(platform, system);
    const chosen = flags.name === undefined && all.length > 1 ? all : [chooseInstance(flags.name, world)];
    let worst = 0;
    for (const name of chosen) worst = Math.max(worst, await show(platform.status(name, system)));
    return worst;
  },
});
