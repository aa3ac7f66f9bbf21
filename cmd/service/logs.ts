// `service logs`: the last lines of a service's log, by the program of the system that keeps it.

import { defineCommand } from '../command.ts';
import { chooseInstance, nameFlag, openServiceWorld, show } from './service-world.ts';

export const command = defineCommand({
  description: 'Shows the last lines that the service logged.',
  flags: [
    nameFlag,
    { name: 'lines', aliases: ['n'], type: 'integer', default: 100, description: 'How many lines' },
    { name: 'follow', aliases: ['f'], type: 'boolean', description: 'Show new lines as they come' },
  ],
  run: async ({ flags }, context) => {
    const world = openServiceWorld(context);
    const name = chooseInstance(flags.name, world);
    return show(world.platform.logs(name, { lines: flags.lines, follow: flags.follow }, world.system));
  },
});
