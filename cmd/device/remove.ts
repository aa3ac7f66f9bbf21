// `device remove DEVICE`: a machine and its token, at once.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { findNamed } from '../find-named.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description: 'Removes a device with its token. Flows that the token let in are cut at once.',
  positionals: [{ name: 'DEVICE', description: 'ID or name of the device' }],
  flags: [],
  run: async (invocation, context) => {
    const [name = ''] = invocation.args;
    const api = await openApi(invocation, context);
    const params = { account: api.account };
    const { id } = findNamed(await api.client.listDevices({ params }), name, 'device');
    const device = await api.client.removeDevice({ params: { ...params, id } });
    context.stdout.write(`Removed device ${printableLine(device.name)} with ID ${device.id}\n`);
  },
});
