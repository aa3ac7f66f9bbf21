// `tunnel config push TUNNEL`: makes the rules of the config file here the configuration at the edge, which hands it to every
// connector of the tunnel.

import { printable } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { openApi } from '../api.ts';
import { findTunnel } from '../find-tunnel.ts';
import { diffText, readLocal, readRemote, yamlOf } from './remote.ts';

export const command = defineCommand({
  description:
    'Moves the rules of the config file here to the edge, as a new version, and shows what changes. Every connector of the ' +
    'tunnel takes them over at once, and from then on uses no rules of its own. Other settings stay in the file. What the ' +
    'edge cannot hold is refused.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  flags: [{ name: 'dry-run', type: 'boolean', description: 'Only say what would change' }, outputFlag],
  examples: [
    ['postern tunnel config push --dry-run home', 'What would change'],
    ['postern tunnel config push home', 'Change it'],
  ],
  run: async (invocation, context) => {
    const { dryRun, output } = invocation.flags;
    const format = parseOutputFormat(output);
    const local = await readLocal(invocation, context);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const remote = await readRemote(api, id);
    const difference = diffText(remote.version === 0 ? '' : yamlOf(remote.config), yamlOf(local.config));
    let { version } = remote;
    if (difference !== '' && !dryRun) {
      const put = { params: { account: api.account, id }, body: { config: local.document } };
      ({ version } = await api.client.putConfiguration(put));
    }
    if (format !== undefined) {
      const changed = difference !== '';
      writeFormatted(context, format, {
        tunnelId: id,
        changed,
        before: remote.version,
        version,
        config: local.document,
      });
      return;
    }
    if (difference === '') {
      context.stdout.write(`Version ${version} at the edge is the same\n`);
      return;
    }
    context.stdout.write(printable(difference));
    context.stdout.write(
      dryRun
        ? `Version ${version} at the edge would change\n`
        : `Version ${version} replaces version ${remote.version}\n`,
    );
  },
});
