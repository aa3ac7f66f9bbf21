// `device add NAME --user USER`: a machine of a user, with a token for the ways into private networks, shown this once.

import { PosternError } from '../../internal/errors/error.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { expiresFlag, expiryOf } from '../people-flags.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Adds a machine of a user and prints its token on standard output, this once: the password of SOCKS and HTTP proxy ' +
    'clients, where the user name is the virtual network. The token is good for nothing else.',
  positionals: [{ name: 'NAME', description: 'Name of the machine' }],
  flags: [
    { name: 'user', type: 'string', valueName: 'USER', description: 'ID or name of the user whose machine it is' },
    expiresFlag,
    outputFlag,
  ],
  examples: [['postern device add laptop --user ann', 'A laptop of ann, who may lack every other scope but connect']],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    if (!flags.user) throw new PosternError('usage.invalid', 'A device is a user’s: name the user with --user');
    const api = await openApi(invocation, context);
    const params = { account: api.account };
    const user = findNamed(await api.client.listUsers({ params }), flags.user, 'user');
    const device = await api.client.addDevice({
      params,
      body: { name, user_id: user.id, expires_on: expiryOf(flags.expiresMs) },
    });
    if (format !== undefined) {
      writeFormatted(context, format, device);
      return;
    }
    const owner = printableLine(device.user.name);
    context.stderr.write(
      `Added device ${printableLine(device.name)} of ${owner} with ID ${device.id}. Its token is shown this once:\n`,
    );
    context.stdout.write(`${device.token.value}\n`);
  },
});
