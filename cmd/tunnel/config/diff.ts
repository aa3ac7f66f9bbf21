// `tunnel config diff TUNNEL`: how the config file here differs from the configuration at the edge.

import { printable } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { openApi } from '../api.ts';
import { findTunnel } from '../find-tunnel.ts';
import { diffText, readLocal, readRemote, yamlOf } from './remote.ts';

export const command = defineCommand({
  description:
    'Compares the rules of the config file here with the configuration that the edge holds for a tunnel. Lines with - are ' +
    'only at the edge, lines with + only here: what `postern tunnel config push` would take away and add.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  flags: [outputFlag],
  examples: [['postern tunnel config diff home', 'With the config file that is found']],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const local = await readLocal(invocation, context);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const remote = await readRemote(api, id);
    const before = remote.version === 0 ? '' : yamlOf(remote.config);
    const difference = diffText(before, yamlOf(local.config));
    if (format !== undefined) {
      const { document: edge, version } = remote;
      writeFormatted(context, format, { tunnelId: id, version, same: difference === '', edge, local: local.document });
      return;
    }
    context.stdout.write(
      difference === '' ? `Version ${remote.version} at the edge is the same\n` : printable(difference),
    );
  },
});
