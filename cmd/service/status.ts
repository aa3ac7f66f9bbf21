// `service status`: what the system's service manager says. The exit code is the manager's: 0 when it runs.

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { PosternError } from '../../internal/errors/error.ts';
import { installedServices } from '../../internal/service/install.ts';
import { printable } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { chooseInstance, nameFlag, openServiceWorld, type ServiceWorld, show } from './service-world.ts';

/** One service in `--output`. */
interface ServiceState {
  /** '' for the one without a name. */
  readonly name: string;
  /** What the manager calls it. */
  readonly label: string;
  readonly manager: string;
  readonly definition: string;
  readonly running: boolean;
  /** The manager's exit code. */
  readonly code: number;
  /** What the manager says. */
  readonly detail: string;
}

export const command = defineCommand({
  description: 'Shows the state of the service, or of every one that is installed.',
  flags: [nameFlag, outputFlag],
  run: async ({ flags }, context) => {
    const format = parseOutputFormat(flags.output);
    const world = openServiceWorld(context);
    const { platform, system } = world;
    const all = installedServices(platform, system);
    const chosen = flags.name === undefined && all.length > 1 ? all : [chooseInstance(flags.name, world)];
    if (format === undefined) {
      let worst = 0;
      for (const name of chosen) worst = Math.max(worst, await show(platform.status(name, system)));
      return worst;
    }
    const states = await Promise.all(chosen.map(name => stateOf(name, world)));
    writeFormatted(context, format, { services: states });
    return Math.max(...states.map(({ code }) => code));
  },
});

async function stateOf(name: string | undefined, { platform, system }: ServiceWorld): Promise<ServiceState> {
  const [program = '', ...args] = platform.status(name, system);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', cause => reject(new PosternError('service.failed', `Cannot run ${program}`, { cause })));
    child.once('close', code => resolve(code ?? 1));
  });
  const [code, detail] = await Promise.all([ended, text(child.stdout)]);
  return {
    name: name ?? '',
    label: platform.label(name),
    manager: platform.id,
    definition: platform.paths(name, system).definition,
    running: code === 0,
    code,
    detail: printable(detail.trim()),
  };
}
