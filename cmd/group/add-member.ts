// `group add-member GROUP USER`.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { openApi } from '../tunnel/api.ts';
import { findMember, memberLine, memberPositionals } from './member.ts';

export const command = defineCommand({
  description: 'Makes a user a member of a group.',
  positionals: memberPositionals,
  flags: [],
  run: async (invocation, context) => {
    const api = await openApi(invocation, context);
    const group = await api.client.addMember({ params: await findMember(api, invocation.args) });
    context.stdout.write(`${printableLine(memberLine(group))}\n`);
  },
});
