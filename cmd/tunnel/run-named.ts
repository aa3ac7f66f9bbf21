// `tunnel --name N`: creates the tunnel N unless it is there, routes --hostname to it (with --lb-pool by a load balancer), and runs it,
// by the commands that do each. Source: docs/protocol/commands-and-api.md §4 point 1.

import type { Flag } from '../../internal/config/flag.ts';
import { resolveFlags } from '../../internal/config/resolve-flags.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { Command, Invocation } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { openApi } from './api.ts';
import { command as create } from './create.ts';
import { findTunnel } from './find-tunnel.ts';
import { command as routeDns } from './route/dns.ts';
import { isHostname } from './route/hostname-text.ts';
import { command as routeLb } from './route/lb.ts';
import { command as run } from './run.ts';

/** Resolves to the exit code of the run. Throws what the first command throws that fails. */
export async function runNamed(
  { name, hostname, lbPool }: { readonly name: string } & Pick<TunnelSettings, 'hostname' | 'lbPool'>,
  invocation: Pick<Invocation, 'given' | 'loadTree'>,
  context: CommandContext,
): Promise<number | undefined> {
  // --output of `create` is about what it prints; here it is about logs.
  const { name: _name, hostname: _hostname, 'lb-pool': _pool, output: _output, ...given } = invocation.given;
  const step = (command: Command, path: readonly string[], args: readonly string[], texts = given) => {
    const { values: flags, sources } = resolveFlags(command.flags as readonly Flag[], {
      given: texts,
      env: context.env,
    });
    return command.run({ ...invocation, path: ['tunnel', ...path], args, given: texts, flags, sources }, context);
  };
  const isRouted = hostname !== undefined && hostname !== '';
  if (isRouted && !isHostname(hostname))
    throw new PosternError('usage.invalid', `${hostname} is not a valid hostname: give the name alone (--hostname)`);
  const api = await openApi(invocation, context);
  try {
    await findTunnel(api, name);
  } catch (error) {
    if (!isPosternError(error, 'api.not-found')) throw error;
    await step(create, ['create'], [name]);
  }
  if (isRouted) {
    if (lbPool !== undefined && lbPool !== '') await step(routeLb, ['route', 'lb'], [name, hostname, lbPool]);
    else await step(routeDns, ['route', 'dns'], [name, hostname]);
  }
  const { output } = invocation.given;
  return step(run, ['run'], [name], output === undefined ? given : { ...given, output });
}
